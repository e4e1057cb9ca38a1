package main

// What is printed.

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// print prints the year month by month.
func (y *year) print(to io.Writer) {
	fmt.Fprintf(to, "%s: %d registrations, %d clients that publish metadata, %d hosts, ceiling %d, in %v, %.0f MB at the end\n\n",
		y.name, y.settings.registrations, y.settings.documents, hosts, y.ceiling(), y.took.Round(time.Second), float64(y.size)/1e6)
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "until\tregistered\trepeats\trefused\tuses\tlost\tnever activated\tidle\tended\tevicted\tstored\tin use\tmost\t")
	before := figures{}
	for month := range 12 {
		last := begins.AddDate(0, month+1, -1)
		sum := y.days[last.YearDay()-1]
		if month == 11 {
			sum = y.sum
		}
		line(table, last.Format(time.DateOnly), sum.less(before))
		before = sum
	}
	line(table, "the year", y.sum)
	table.Flush()
	fmt.Fprintln(to)
	faults := y.faults()
	for _, fault := range faults {
		fmt.Fprintln(to, "FAILED:", fault)
	}
	for _, fault := range y.examples {
		fmt.Fprintln(to, "  such as", fault)
	}
	if len(faults) == 0 {
		fmt.Fprintf(to, "The store had at most %d clients, and its ceiling is %d. No client in use was lost, and no registration was refused.\n", y.sum.most, y.ceiling())
	}
	fmt.Fprintln(to)
}

func line(to io.Writer, until string, f figures) {
	fmt.Fprintf(to, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
		until, f.registered, f.repeated, f.refused, f.uses, f.lost, f.never, f.idle, f.ended, f.evicted, f.stored, f.inUse, f.most)
}

// less returns what happened since before. The numbers of stored clients do not change.
func (f figures) less(before figures) figures {
	f.registered -= before.registered
	f.repeated -= before.repeated
	f.refused -= before.refused
	f.uses -= before.uses
	f.lost -= before.lost
	f.never -= before.never
	f.idle -= before.idle
	f.ended -= before.ended
	f.evicted -= before.evicted
	return f
}

// faults returns what is wrong with the year.
func (y *year) faults() (faults []string) {
	check := func(holds bool, format string, args ...any) {
		if !holds {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	sum := y.sum
	// Hosts that share a store exceed the ceiling by what others registered since they counted.
	check(sum.most <= y.ceiling()+y.ceiling()/200+2*hosts, "there were %d clients, but the ceiling is %d", sum.most, y.ceiling())
	check(sum.lost == 0, "a client in use was lost %d times", sum.lost)
	check(sum.refused == 0, "%d registrations were refused, %d of which repeat another", sum.refused, sum.refusedRepeats)
	// Everything must have happened at least once.
	check(sum.registered == y.settings.registrations, "%d registered", sum.registered)
	check(sum.uses > 0 && sum.never > 0 && sum.idle > 0 && sum.evicted > 0, "not everything happened: %+v", sum)
	check(sum.ended == min(2, y.settings.documents), "%d documents ended", sum.ended)
	check(y.told["document_fetched status_403"] > 0, "no publisher answered 403")
	return faults
}
