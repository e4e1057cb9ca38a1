package confusable_test

import (
	"testing"

	"github.com/dynreg/dcr/internal/confusable"
)

func TestHas(t *testing.T) {
	for _, c := range []struct {
		why, text, part string
		want            bool
	}{
		{"itself", "Microsoft", "Microsoft", true},
		{"within a name", "My Microsoft login", "Microsoft", true},
		{"another case", "MICROSOFT", "microsoft", true},
		{"a Cyrillic o", "Micr\u043Esoft", "Microsoft", true},
		{"Cyrillic capitals", "\u041C\u0406\u0421R\u041E\u0405\u041EF\u0422", "Microsoft", true},
		{"a Greek omicron", "Micr\u03BFs\u03BFft", "Microsoft", true},
		{"a Ukrainian i", "M\u0456crosoft", "Microsoft", true},
		{"an i without a dot", "M\u0131crosoft", "Microsoft", true},
		{"an Armenian o", "Micr\u0585soft", "Microsoft", true},
		{"a Cherokee letter", "\u13B7icrosoft", "Microsoft", true},
		{"a blank of no width", "Micro\u200Bsoft", "Microsoft", true},
		{"a soft hyphen", "Micro\u00ADsoft", "Microsoft", true},
		{"a word joiner", "Micro\u2060soft", "Microsoft", true},
		{"a byte order mark", "\uFEFFMicrosoft", "Microsoft", true},
		{"a joiner", "Mi\u200Dcro\u200Csoft", "Microsoft", true},
		{"a grapheme joiner", "Micro\u034Fsoft", "Microsoft", true},
		{"a Hangul filler", "Micro\u3164soft", "Microsoft", true},
		{"a variation selector", "Micro\uFE0Fsoft", "Microsoft", true},
		{"a variation selector of the second set", "Micro\U000E0100soft", "Microsoft", true},
		{"tag characters", "Micro\U000E0061soft", "Microsoft", true},
		{"a combining accent", "Micro\u0301soft", "Microsoft", true},
		{"an accent", "Micr\u00F3soft", "Microsoft", true},
		{"a stroke", "Micr\u00F8soft", "Microsoft", true},
		{"full width", "\uFF2D\uFF49\uFF43\uFF52\uFF4F\uFF53\uFF4F\uFF46\uFF54", "Microsoft", true},
		{"mathematical bold", "\U0001D40C\U0001D422\U0001D41C\U0001D42B\U0001D428\U0001D42C\U0001D428\U0001D41F\U0001D42D", "Microsoft", true},
		{"mathematical script", "\U0001D4DC\U0001D4F2\U0001D4EC\U0001D4FB\U0001D4F8\U0001D4FC\U0001D4F8\U0001D4EF\U0001D4FD", "Microsoft", true},
		{"letters in circles", "\u24C2\u24D8\u24D2\u24E1\u24DE\u24E2\u24DE\u24D5\u24E3", "Microsoft", true},
		{"small capitals", "\u1D0D\u026A\u1D04\u0280\u1D0F\uA731\u1D0F\uA730\u1D1B", "Microsoft", true},
		{"white letters in black circles", "\U0001F15C\U0001F158\U0001F152\U0001F161\U0001F15E\U0001F162\U0001F15E\U0001F155\U0001F163", "Microsoft", true},
		{"white letters in black squares", "\U0001F17C\U0001F178\U0001F172\U0001F181\U0001F17E\U0001F182\U0001F17E\U0001F175\U0001F183", "Microsoft", true},
		{"the letters of flags", "\U0001F1F2\U0001F1EE\U0001F1E8\U0001F1F7\U0001F1F4\U0001F1F8\U0001F1F4\U0001F1EB\U0001F1F9", "Microsoft", true},
		{"a Greek lunate sigma", "Mi\u03F2rosoft", "Microsoft", true},
		{"a Greek lunate sigma in capitals", "MI\u03F9ROSOFT", "Microsoft", true},
		{"a Greek symbol that looks like a letter", "\u03F1ay\u03F1al", "paypal", true},
		{"a long s", "Micro\u017Foft", "Microsoft", true},
		{"a ligature", "Microso\uFB05", "Microsost", true},
		{"a digit", "Micr0s0ft", "Microsoft", true},
		{"two letters that look like one", "rnicrosoft", "Microsoft", true},
		{"a capital I for an l", "PayPaI", "PayPal", true},
		{"a digit for an l", "PayPa1", "PayPal", true},
		{"a blank that does not break", "Contoso\u00A0Bank", "Contoso Bank", true},
		{"two blanks", "Contoso  Bank", "Contoso Bank", true},
		{"an ideographic blank", "Contoso\u3000Bank", "Contoso Bank", true},
		{"a Braille blank", "Contoso\u2800Bank", "Contoso Bank", true},
		{"blanks around", " Contoso Bank ", "Contoso Bank", true},
		{"blanks around the part", "Contoso Bank", " Contoso Bank\u00A0", true},
		{"another dash", "Coca\u2013Cola", "Coca-Cola", true},
		{"Cyrillic in capitals", "\u041A\u041E\u041C\u0411\u0410\u041D\u041A", "\u041A\u043E\u043C\u0431\u0430\u043D\u043A", true},
		{"Cyrillic in capitals, with a Latin one", "\u0421\u0411\u0415\u0420\u0411\u0410\u041DK", "\u0421\u0431\u0435\u0440\u0431\u0430\u043D\u043A", true},
		{"Greek with another sigma", "\u03A3\u03BF\u03C6\u03CC\u03C2", "\u03C3\u03BF\u03C6\u03BF\u03C3", true},
		{"Japanese", "\u30C8\u30E8\u30BF\u9280\u884C", "\u30C8\u30E8\u30BF", true},

		{"another name", "Miro", "Microsoft", false},
		{"letters between", "Micro and soft", "Microsoft", false},
		{"a blank between", "Micro soft", "Microsoft", false},
		{"no blank", "ContosoBank", "Contoso Bank", false},
		{"letters that no reader confuses", "Nest", "Hest", false},
		{"a vowel", "Syn", "Sun", false},
		{"Japanese syllables", "\u304B", "\u304C", false},
		{"another Cyrillic name", "\u0422\u0438\u043D\u044C\u043A\u043E\u0444\u0444", "\u0421\u0431\u0435\u0440", false},
		{"nothing", "", "Microsoft", false},
	} {
		if confusable.Of(c.text).Has(confusable.Of(c.part)) != c.want {
			t.Errorf("%s: %+q has %q: %t, as %+v and %+v", c.why, c.text, c.part, !c.want, confusable.Of(c.text), confusable.Of(c.part))
		}
	}
}

func TestIsEmpty(t *testing.T) {
	for _, text := range []string{"", " ", "\u200B", "\u00A0\u2060", "\u0301"} {
		if !confusable.Of(text).IsEmpty() {
			t.Errorf("%+q counts as visible", text)
		}
	}
	if confusable.Of("a").IsEmpty() {
		t.Error("a counts as invisible")
	}
}

func FuzzOf(f *testing.F) {
	f.Add("Micro\u0301soft")
	f.Fuzz(func(t *testing.T, text string) {
		if look := confusable.Of(text); !look.Has(look) {
			t.Errorf("%+q does not look like itself", text)
		}
	})
}
