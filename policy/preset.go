package policy

import (
	"github.com/dynreg/dcr"
)

// Preset is a complete policy for one field of application: a validator, to be
// used alone or among Options.Policies, and the options that go with it. Each
// is made of what the server supports, a [dcr.DefaultValidator]: ceilings that
// it leaves nil become those of the preset, ceilings that it sets are narrowed
// to what the preset allows. What a preset needs of the options, NewHandler
// refuses to do without, however the preset came there; what is merely wise it
// warns of.
type Preset struct {
	dcr.Validator
	options func(*dcr.Options)
}

// With stacks further rules on the preset.
func (p Preset) With(rules ...Rule) Preset {
	p.Validator = Stack(p.Validator, rules...)
	return p
}

// WithOptions returns the preset with something more for Apply to set: it is how a
// preset of the host's own says which options go with it. set leaves alone what is
// not at zero, and sets nothing that is dangerous.
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

// Apply sets opts.Validator to the preset, and what else the preset says it
// sets, as far as opts leaves it at zero. It returns opts. What is dangerous,
// such as AllowAnonymous, it never sets.
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
	return []string{preset + " is for clients that run in a browser too, and no page may call the endpoints; set Options.CORS, as Apply does"}
}

// openToPages lets pages of every origin register: the endpoints of the
// preset are for anyone, and a page cannot send anyone's credentials along.
func openToPages(opts *dcr.Options) {
	if opts.CORS.Off() {
		opts.CORS.AnyOrigin = true
	}
}
