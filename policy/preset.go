package policy

// Presets: complete policies for one field of application.

import (
	"github.com/dynreg/dcr"
)

// Preset is a complete policy for one field of application: a validator, for
// Options.Validator or Options.Policies, and the options that go with it. Each
// is made from what the server supports, a [dcr.DefaultValidator]: lists that
// this leaves nil become those of the preset, and lists that it sets are
// narrowed to what the preset allows. NewHandler refuses options that lack what
// a preset needs, and warns if they lack what is only advisable.
type Preset struct {
	dcr.Validator
	options func(*dcr.Options)
}

// With stacks further rules on the preset, as [Stack] does.
func (p Preset) With(rules ...Rule) Preset {
	p.Validator = Stack(p.Validator, rules...)
	return p
}

// WithOptions returns the preset with more options for Apply to set, for presets
// of the host's own. set must change only options that are zero, and must not set
// dangerous ones.
func (p Preset) WithOptions(set func(opts *dcr.Options)) Preset {
	inner := p.options
	p.options = func(opts *dcr.Options) {
		if inner != nil {
			inner(opts)
		}
		set(opts)
	}
	return p
}

// Apply sets opts.Validator to the preset, and the other options that the
// preset documents if they are zero. It returns opts. It never sets dangerous
// options, such as AllowAnonymous.
func (p Preset) Apply(opts *dcr.Options) *dcr.Options {
	opts.Validator = p
	if p.options != nil {
		p.options(opts)
	}
	return opts
}

// fill sets a list that the host left nil.
func fill(list *[]string, values ...string) {
	if *list == nil {
		*list = values
	}
}

// closedToPages warns of options that let no page register.
func closedToPages(preset string, opts *dcr.Options) []string {
	if !opts.CORS.Off() {
		return nil
	}
	return []string{preset + " is for clients that run in a browser too, but no web page may call the endpoints; set Options.CORS, as Apply does"}
}

// openToPages lets pages of every origin register: the endpoints of the
// preset are for anyone, and a page cannot send anyone's credentials along.
func openToPages(opts *dcr.Options) {
	if opts.CORS.Off() {
		opts.CORS.AnyOrigin = true
	}
}
