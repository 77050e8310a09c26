// The sizes and the arrays of one replica, on which passes work; the layouts stand at `Problem`.

#pragma once

#include <algorithm>
#include <limits>
#include <utility>

#include "gemm.h"
#include "problem.h"

namespace {

constexpr long ROWS = 32;    // sequences that go forward together
constexpr long CHUNK = 256;  // rows (steps x sequences) that are summed into the weights' gradients at a time

// Ask for n numbers that the next step will read (FOR = 0) or write (1), while this one computes.
template <int FOR, class T> inline void fetch(const T* from, long n) {
    for (long i = 0; i < n; i += 64 / sizeof(T)) __builtin_prefetch(from + i, FOR);
}

// Hands out parts of a thread's scratch memory; without memory it only counts.
template <class T> struct Scratch {
    T* memory;
    long used = 0;
    T* take(long n) {
        used += padded<T>(n);
        return memory ? memory + used - padded<T>(n) : nullptr;
    }
};

// The sizes and the arrays of one replica.
template <class Cell, class T> struct Replica {
    static constexpr long PARTS = Cell::PARTS.size(), SOURCES = Cell::SOURCES.size(), PANELS = Cell::PANELS.size();
    static constexpr long VECTORS = Cell::VECTORS.size(), TARGETS = Cell::TARGETS.size();
    const Problem& p;
    long r, steps = p.time, B = p.batch, H = p.hidden, I = p.channels;
    long kept_width = Cell::KEPT.of(H), first_width = Cell::PARTS[0].of(H);
    const T* vectors[VECTORS + 1];

    Replica(const Problem& p, long r, Scratch<T>& scratch) : p(p), r(r) {
        for (long v = 0; v < VECTORS; v++) vectors[v] = scratch.take(Cell::VECTORS[v].width.of(H));
    }

    // This replica's part of an array; one's part lies `stride` from the next one's.
    T* of(const void* array, long stride) const { return array ? (T*)array + r * stride : nullptr; }
    // A part of the state before step t.
    T* part(long i, long t) const {
        long size = B * Cell::PARTS[i].of(H);
        return of(p.parts[i], (steps + 1) * size) + t * size;
    }
    T* kept(long t) const { return of(p.kept, steps * B * kept_width) + t * B * kept_width; }
    long output(long t) const { return t - steps + p.outputs; }  // the number of step t's output; none if negative
    const T* input(long t, long b) const { return (const T*)p.inputs + r * p.input_stride + (t * B + b) * I; }
    bool tokens() const { return p.token_bytes > 0; }
    long token(long t, long b) const {
        long at = r * p.input_stride + t * B + b;
        return p.token_bytes == 1 ? ((const uint8_t*)p.inputs)[at] : ((const int64_t*)p.inputs)[at];
    }
    long depth(const Source& source) const { return source.from == INPUT ? I : source.width.of(H); }

    T weight(const Weight& w, long k, long n) const { return of(w.data, w.stride)[k * w.row + n * w.column]; }

    void copy_vectors() {
        for (long v = 0; v < VECTORS; v++) {
            const Vector& vector = Cell::VECTORS[v];
            for (long j = 0; j < vector.width.of(H); j++)
                const_cast<T*>(vectors[v])[j] = weight(p.weights[vector.weight], 0, vector.column.of(H) + j);
        }
    }
};

// f(0), f(1) ... f(N - 1), each number known to the compiler.
template <class F, int... I> inline void in_order(F f, std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>{}), ...);
}
template <int N, class F> inline void stages(F f) { in_order(f, std::make_integer_sequence<int, N>{}); }

}  // namespace
