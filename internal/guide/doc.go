// Package guide holds the code of docs to the compiler: its tests are what the pages
// show, and say what comes of it.
package guide
