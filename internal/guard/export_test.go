package guard

// Public is public, for the table of addresses: dialling them would tell too,
// but not politely.
var Public = public
