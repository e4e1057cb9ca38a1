package main

// A drawing of the year.

import (
	"bytes"
	"fmt"
	"strings"
)

const (
	width, left, right = 900, 90, 20 // pixels
	panel              = 220
)

// curve is one line of a drawing.
type curve struct {
	name, color string
	values      []int64 // one per day
}

// draw draws how many clients were stored and deleted on each day.
func (y *year) draw() []byte {
	var stored, inUse, ceiling, swept, evicted []int64
	var before figures
	for _, at := range y.days {
		stored, inUse, ceiling = append(stored, at.stored), append(inUse, at.inUse), append(ceiling, y.ceiling())
		swept = append(swept, int64(at.never+at.idle+at.ended-before.never-before.idle-before.ended))
		evicted = append(evicted, int64(at.evicted-before.evicted))
		before = at
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, 2*panel+130)
	fmt.Fprintf(&out, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	drawPanel(&out, 40, "clients", []curve{{"ceiling", "#c0392b", ceiling}, {"stored", "#2c3e50", stored}, {"in use", "#27ae60", inUse}})
	drawPanel(&out, panel+100, "deleted each day", []curve{{"swept", "#2980b9", swept}, {"evicted", "#e67e22", evicted}})
	fmt.Fprintln(&out, `</svg>`)
	return out.Bytes()
}

// drawPanel draws curves below each other's legend.
func drawPanel(out *bytes.Buffer, top int, title string, curves []curve) {
	var most int64 = 1
	for _, c := range curves {
		for _, value := range c.values {
			most = max(most, value)
		}
	}
	bottom := top + panel
	x := func(day int) float64 { return left + float64(day)*(width-left-right)/(days-1) }
	y := func(value int64) float64 { return float64(bottom) - float64(value)*panel/float64(most) }
	for part := range int64(5) {
		value := most * part / 4
		fmt.Fprintf(out, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`+"\n", left, width-right, y(value), y(value))
		fmt.Fprintf(out, `<text x="%d" y="%.1f" text-anchor="end">%d</text>`+"\n", left-8, y(value)+4, value)
	}
	for month := range 12 {
		at := begins.AddDate(0, month, 0)
		fmt.Fprintf(out, `<text x="%.1f" y="%d">%s</text>`+"\n", x(at.YearDay()-1), bottom+18, at.Format("Jan"))
	}
	fmt.Fprintf(out, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, top-14, title)
	for i, c := range curves {
		var points strings.Builder
		for day, value := range c.values {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(day), y(value))
		}
		fmt.Fprintf(out, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", c.color, strings.TrimSpace(points.String()))
		fmt.Fprintf(out, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", left+160+i*110, top-14, c.color, c.name)
	}
}
