package telemetry

// The attributes of measurements, and a bound of their values.

import (
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// label is an attribute.
type label struct{ name, value string }

// labels are the sets of up to two attributes that were used: to make one for each
// measurement would cost more than to measure. Their values must be bounded.
type labels struct {
	known sync.Map // [2]label to a metric.MeasurementOption
}

func (l *labels) of(some ...label) metric.MeasurementOption {
	var key [2]label
	copy(key[:], some)
	if with, ok := l.known.Load(key); ok {
		return with.(metric.MeasurementOption)
	}
	attributes := make([]attribute.KeyValue, len(some))
	for i, one := range some {
		attributes[i] = attribute.String(one.name, one.value)
	}
	with, _ := l.known.LoadOrStore(key, metric.WithAttributeSet(attribute.NewSet(attributes...)))
	return with.(metric.MeasurementOption)
}

// maxValues is how many values of an attribute are told apart.
const maxValues = 256

// values are those that an attribute has had.
type values struct {
	mu   sync.Mutex
	seen map[string]bool
}

// bounded is a value, or "other" once there are too many.
func (v *values) bounded(value string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.seen[value]:
		return value
	case len(v.seen) >= maxValues:
		return "other"
	case v.seen == nil:
		v.seen = make(map[string]bool)
	}
	v.seen[strings.Clone(value)] = true
	return value
}
