//go:build wasip1

// Command helm-engine is Helm's template engine as a WebAssembly reactor: bytes in, bytes out, no files, no network.
// The host calls allocate() for each input, writes into it, and calls render(); the answer is JSON.
package main

import (
	"io"
	"log"
	"log/slog"
	"unsafe"
)

// buffers keeps what the host may still read or write reachable; an instance renders once, so nothing is ever released.
var buffers = map[uint32][]byte{}

//go:wasmexport allocate
func allocate(size uint32) uint32 {
	buffer := make([]byte, max(size, 1))
	return keep(buffer)
}

// render answers with the address of the JSON in the upper 32 bits and its length in the lower ones.
//
//go:wasmexport render
func render(requestAt, requestSize, chartAt, chartSize uint32) uint64 {
	answer := answerTo(buffers[requestAt][:requestSize], buffers[chartAt][:chartSize])
	return uint64(keep(answer))<<32 | uint64(len(answer))
}

func keep(buffer []byte) uint32 {
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(buffer))))
	buffers[at] = buffer
	return at
}

// Helm logs warnings through both packages, and each line would read the clock for its time stamp.
func init() {
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
}

func main() {}
