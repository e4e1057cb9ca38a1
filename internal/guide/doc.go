// Package guide compiles the code in docs: its tests contain the code that the pages
// show, and check what it does.
package guide
