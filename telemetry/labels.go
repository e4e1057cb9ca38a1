package telemetry

// The attributes of measurements, and a bound on their values.

import (
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// label is an attribute.
type label struct{ name, value string }

// labels has the sets of up to two attributes that were used before. Creating a set for
// each measurement would cost more than the measurement. The values must be bounded.
type labels struct {
	known sync.Map // from [2]label to metric.MeasurementOption
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

// maxValues is how many values of an attribute are distinguished, and maxMemberRules how
// many of them may be rules about members, so that no registrations can hide an outage.
const (
	maxValues      = 256
	maxMemberRules = maxValues * 3 / 4
)

// values has the values that an attribute has had.
type values struct {
	mu   sync.Mutex
	seen map[string]bool
}

// bounded returns the value, or "other" if there are already most values.
func (v *values) bounded(value string, most int) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.seen[value]:
		return value
	case len(v.seen) >= most:
		return "other"
	case v.seen == nil:
		v.seen = make(map[string]bool)
	}
	v.seen[strings.Clone(value)] = true
	return value
}
