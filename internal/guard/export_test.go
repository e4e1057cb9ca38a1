package guard

// Public is public, so that tests can check addresses without dialling them.
var Public = public
