package guard_test

import (
	"net/netip"
	"testing"

	"github.com/dynreg/dcr/internal/guard"
)

func TestSpecialUseAddresses(t *testing.T) {
	refused := []string{
		"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255",
		"100.64.0.0", "100.100.100.200", "100.127.255.255",
		"127.0.0.1", "127.255.255.255", "168.63.129.16",
		"169.254.0.0", "169.254.169.254", "169.254.255.255",
		"172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.192", "192.0.0.255",
		"192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
		"192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "64:ff9b::1.1.1.1", "64:ff9b:1::1", "100::1", "100:0:0:1::1",
		"2001::1", "2001:10::1", "2001:1ff:ffff::1", "2001:db8::1", "2002:7f00:1::", "2620:4f:8000::1",
		"3fff::1", "3fff:fff::1", "4000::1", "5f00::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2a00::1%eth0", "fec0::1", "ff02::1",
	}
	for _, text := range refused {
		if guard.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s counts as public", text)
		}
	}
	let := []string{
		"1.1.1.1", "1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
		"126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
		"192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2001:200::1", "2001:4860:4860::8888", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1111", "3ffe::1", "3fff:1000::1",
	}
	for _, text := range let {
		if !guard.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s counts as special", text)
		}
	}
}

func TestReaches(t *testing.T) {
	open := guard.Config{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}
	named := open
	named.PrivateHosts = []string{"10.0.0.1"}
	for _, c := range []struct {
		host                string
		strict, open, named bool
	}{
		{"rp.example.com", true, true, true}, // checked when it is dialled
		{"1.1.1.1", true, true, true},
		{"2606:4700::1111", true, true, true},
		{"169.254.169.254", false, false, false},
		{"fd00:ec2::254", false, false, false},
		{"::ffff:169.254.169.254", false, false, false},
		{"10.0.0.1", false, true, true},
		{"10.0.0.2", false, true, false},
		{"127.0.0.1", false, true, false},
		{"localhost", false, true, false},
		{"a.localhost", false, true, false},
		{"::1", false, false, false},
	} {
		for sentence, got := range map[string][2]bool{
			"strict": {(&guard.Config{}).Reaches(c.host), c.strict}, "open": {open.Reaches(c.host), c.open}, "to named hosts": {named.Reaches(c.host), c.named},
		} {
			if got[0] != got[1] {
				t.Errorf("%s, %s: reached %v", c.host, sentence, got[0])
			}
		}
	}
}
