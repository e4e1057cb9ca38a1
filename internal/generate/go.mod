module github.com/dynreg/dcr/internal/generate

go 1.26.0

replace github.com/dynreg/dcr => ../../

require (
	github.com/dynreg/dcr v0.0.0-00010101000000-000000000000
	github.com/mtibben/confusables v0.0.0-20210201002637-9d1b0723b659
	github.com/weppos/publicsuffix-go v0.50.3
	golang.org/x/text v0.44.0
)

require golang.org/x/net v0.50.0 // indirect
