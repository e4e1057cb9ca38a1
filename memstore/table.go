package memstore

// The table of clients, out of sight of the garbage collector.

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"iter"
)

// table keeps clients so that the garbage collector has almost nothing to scan:
// a million clients are some thousand objects, none of which has a pointer.
type table struct {
	seed   maphash.Seed
	byHash map[uint32]uint32 // the first entry of those whose ids have the same hash
	count  int
	bytes  int64 // of the documents

	entries [][]entry
	used    uint32   // entries that were ever in use; number 0 means none
	free    []uint32 // those of them that are free again

	blocks []block
	last   uint32   // the block that records are put into
	empty  []uint32 // numbers of blocks that were removed
}

// entry is what the store keeps of a client outside its document, so that it can
// note a use without writing the document again.
type entry struct {
	block, offset uint32 // where its record is
	next          uint32 // the next entry whose id has the same hash
	idAt          uint16 // where its id begins in the record
	idSize        uint8
	mayGo         bool // may be deleted to make room, as long as it is not used

	revision            int64
	created             int64 // as nanos says, like the next two
	activated, lastUsed int64
}

// block has records one after the other. Documents that are written to it never
// change, so they can be read without the lock.
//
// A record is the number of its entry, the size of what follows, the document, and
// the id if the document does not contain it verbatim.
type block struct {
	records []byte
	alive   int // bytes of the records that are in use
}

const (
	blockSize   = 24 << 10
	largeRecord = blockSize / 8 // a larger one gets a block of its own, of its size
	headSize    = 8
	entriesSize = 64
	leastSparse = 1024
)

func newTable() table {
	return table{seed: maphash.MakeSeed(), byHash: make(map[uint32]uint32), blocks: make([]block, 1)}
}

func (t *table) hash(id string) uint32 { return uint32(maphash.String(t.seed, id)) }

func (t *table) entry(number uint32) *entry {
	return &t.entries[number/entriesSize][number%entriesSize]
}

// record returns the document of an entry, followed by its id if the document does
// not contain it.
func (t *table) record(e *entry) []byte {
	records := t.blocks[e.block].records[e.offset:]
	return records[headSize : headSize+binary.LittleEndian.Uint32(records[4:])]
}

// document returns the document of an entry. It never changes.
func (t *table) document(e *entry) []byte {
	record := t.record(e)
	if e.idAt == 0 {
		record = record[:len(record)-int(e.idSize)]
	}
	return record
}

// id returns the id of an entry as a part of its record.
func (t *table) id(e *entry) []byte {
	record := t.record(e)
	if e.idAt == 0 {
		return record[len(record)-int(e.idSize):]
	}
	return record[e.idAt : int(e.idAt)+int(e.idSize)]
}

// find returns the number of the entry of a client and the entry, 0 and nil if
// there is none.
func (t *table) find(id string) (uint32, *entry) {
	for number := t.byHash[t.hash(id)]; number != 0; {
		e := t.entry(number)
		if string(t.id(e)) == id {
			return number, e
		}
		number = e.next
	}
	return 0, nil
}

// all yields all clients, in no particular order.
func (t *table) all() iter.Seq2[string, *entry] {
	return func(yield func(string, *entry) bool) {
		for number := uint32(1); number <= t.used; number++ {
			if e := t.entry(number); e.idSize > 0 && !yield(string(t.id(e)), e) {
				return
			}
		}
	}
}

// add makes an entry for a client that the table does not have.
func (t *table) add(id string, document []byte) (uint32, *entry) {
	number := t.unused()
	e := t.entry(number)
	t.link(number, e, t.hash(id))
	t.count++
	t.write(number, e, id, document)
	return number, e
}

// unused returns the number of an entry that is not in use.
func (t *table) unused() uint32 {
	if last := len(t.free) - 1; last >= 0 {
		number := t.free[last]
		t.free = t.free[:last]
		return number
	}
	t.used++
	if int(t.used/entriesSize) >= len(t.entries) {
		t.entries = append(t.entries, make([]entry, entriesSize))
	}
	return t.used
}

// link makes an entry the first of those whose ids have the same hash.
func (t *table) link(number uint32, e *entry, hash uint32) {
	e.next, t.byHash[hash] = t.byHash[hash], number
}

// write writes the record of an entry.
func (t *table) write(number uint32, e *entry, id string, document []byte) {
	e.idSize, e.idAt = uint8(len(id)), 0
	t.bytes += int64(len(document))
	size := len(document)
	if at := bytes.Index(document, []byte(id)); 0 < at && at < 1<<16 {
		e.idAt, id = uint16(at), ""
	}
	size += len(id) // which has characters that are escaped in the document
	t.append(e, headSize+size, func(records []byte) []byte {
		records = binary.LittleEndian.AppendUint32(records, number)
		records = binary.LittleEndian.AppendUint32(records, uint32(size))
		return append(append(records, document...), id...)
	})
}

// append puts the record of an entry after the last one. A block without room for it
// wastes less than the size of a large record.
func (t *table) append(e *entry, size int, write func([]byte) []byte) {
	number, full := t.last, t.last
	if records := t.blocks[full].records; size > largeRecord {
		number = t.open(size)
	} else if cap(records)-len(records) < size {
		number = t.open(blockSize)
		t.last = number
	}
	to := &t.blocks[number]
	e.block, e.offset = number, uint32(len(to.records))
	to.records = write(to.records)
	to.alive += size
	if full != t.last {
		t.tidy(full)
	}
}

// open makes an empty block.
func (t *table) open(size int) (number uint32) {
	if last := len(t.empty) - 1; last >= 0 {
		number, t.empty = t.empty[last], t.empty[:last]
	} else {
		number, t.blocks = uint32(len(t.blocks)), append(t.blocks, block{})
	}
	t.blocks[number] = block{records: make([]byte, 0, size)}
	return number
}

// tidy gives back the memory of a block of which a third is not in use. It writes the
// rest to the last block.
func (t *table) tidy(number uint32) {
	old := t.blocks[number]
	if number == t.last || 3*old.alive > 2*cap(old.records) || old.records == nil {
		return
	}
	for at := 0; at < len(old.records); {
		owner := binary.LittleEndian.Uint32(old.records[at:])
		record := old.records[at : at+headSize+int(binary.LittleEndian.Uint32(old.records[at+4:]))]
		if t.isAt(owner, number, uint32(at)) {
			t.append(t.entry(owner), len(record), func(records []byte) []byte { return append(records, record...) })
		}
		at += len(record)
	}
	t.blocks[number] = block{}
	t.empty = append(t.empty, number)
}

// isAt reports whether the record of an entry is in that place. An old record may have
// a number that is now another entry's, or none's.
func (t *table) isAt(number, block, offset uint32) bool {
	if number > t.used {
		return false
	}
	e := t.entry(number)
	return e.idSize > 0 && e.block == block && e.offset == offset
}

// erase gives up the record of an entry.
func (t *table) erase(e *entry) {
	t.bytes -= int64(len(t.document(e)))
	t.blocks[e.block].alive -= headSize + len(t.record(e))
}

// replace writes another document of the same client.
func (t *table) replace(number uint32, e *entry, id string, document []byte) {
	was := e.block
	t.erase(e)
	t.write(number, e, id, document)
	t.tidy(was)
}

// remove forgets a client.
func (t *table) remove(number uint32, e *entry) {
	hash, was := t.hash(string(t.id(e))), e.block
	t.erase(e)
	if first := t.byHash[hash]; first != number {
		before := t.entry(first)
		for before.next != number {
			before = t.entry(before.next)
		}
		before.next = e.next
	} else if e.next != 0 {
		t.byHash[hash] = e.next
	} else {
		delete(t.byHash, hash)
	}
	*e = entry{}
	t.free = append(t.free, number)
	t.count--
	t.tidy(was)
}

// sparse reports whether most entries are not in use, and shrink is worth its time.
func (t *table) sparse() bool { return t.used >= leastSparse && uint32(t.count) <= t.used/4 }

// shrink gives back the memory of the entries that are not in use. The others get
// new numbers: it calls moved with each old and new one.
func (t *table) shrink(moved func(from, to uint32)) {
	entries, used := t.entries, t.used
	t.entries, t.used, t.free = nil, 0, nil
	t.byHash = make(map[uint32]uint32, t.count) // since a map keeps the size of its peak
	for from := uint32(1); from <= used; from++ {
		was := &entries[from/entriesSize][from%entriesSize]
		if was.idSize == 0 {
			continue
		}
		to := t.unused()
		e := t.entry(to)
		*e = *was
		t.link(to, e, t.hash(string(t.id(e))))
		binary.LittleEndian.PutUint32(t.blocks[e.block].records[e.offset:], to)
		moved(from, to)
	}
}
