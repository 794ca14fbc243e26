package sha384

import "crypto/sha512"

// proven compares what step does with the library, for each number of streams: a processor, an emulator or a library that
// is not what this package takes it for is found here, and not by refused blobs.
func proven(step func([]*Digest)) bool {
	var text [maxLanes * 2 * BlockSize]byte
	for i := range text {
		text[i] = byte(i*i>>3 + i)
	}
	if b, err := sha512.New384().(library).AppendBinary(nil); err != nil || len(b) != savedSize || string(b[:savedWords]) != savedMark {
		return false
	}
	for streams := 1; streams <= maxLanes; streams++ {
		var batch []*Digest
		for i := range streams {
			d := New(&Lanes{})
			d.rest = text[i*BlockSize:][:2*BlockSize]
			batch = append(batch, d)
		}
		step(batch)
		for i, d := range batch {
			if d.Sum(text[:i]) != sha512.Sum384(append(text[i*BlockSize:][:2*BlockSize:2*BlockSize], text[:i]...)) {
				return false
			}
		}
	}
	return true
}
