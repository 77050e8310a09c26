// A cell forward and backward through time on the CPU, all replicas in one call.
//
// One replica is one task: a thread runs all T steps of it without waiting for anybody, so the replica's packed weights
// stay in its cache, and results depend neither on the number of threads nor on the other replicas. With a = the columns
// before the cell's functions and A = dL/da,
//
//     forward    a_t = b + W x_t + U h_(t-1)          then the functions of the cell
//     backward   A_t from dL/dh_t                     the cell's derivatives
//                dL/dh_(t-1) = A_t U (+ what does not pass through products)
//                dL/dU += A_t' h_(t-1),  dL/dW += A_t' x_t,  dL/db += A_t        summed over chunks of steps
//
// The running gradient is held as 2^e g and g is rescaled by exact powers of two when its norm leaves 2^-40 .. 2^40
// (see scaling.py). All arrays are row-major; the layouts stand at `Problem`.

#pragma once

#include "backward.h"
#include "forward.h"
#include "pool.h"

namespace {

// While it lives, this thread's arithmetic takes numbers below the smallest normal one for zero, for they are slow.
struct NoDenormals {
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    NoDenormals() { _mm_setcsr(before | 0x8040); }
    ~NoDenormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;
    NoDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        asm volatile("msr fpcr, %0" ::"r"(before | (1 << 24)));
    }
    ~NoDenormals() { asm volatile("msr fpcr, %0" ::"r"(before)); }
#endif
};

template <class Cell, class T> long scratch_size(const Problem& p) {
    Scratch<T> forward{nullptr}, backward{nullptr};
    ForwardPass<Cell, T>(p, 0, forward);
    BackwardPass<Cell, T>(p, 0, backward);
    return std::max(forward.used, backward.used) + 64;
}

// Run all replicas, each by whichever thread is free.
template <template <class, class> class Pass, class Cell, class T> void run(const Problem& p) {
    std::atomic<long> next{0};
    long size = scratch_size<Cell, T>(p);
    auto work = [&](long thread) {
        NoDenormals guard;
        for (long r; (r = next++) < p.replicas;) {
            Scratch<T> scratch{(T*)p.scratch + thread * size};
            Pass<Cell, T>(p, r, scratch).run();
        }
    };
    long helpers = std::min(p.threads, p.replicas) - 1;
    if (helpers < 1) work(0);
    else Pool::here().run(helpers, work);
}

}  // namespace

// The functions of a library that serves one cell and one type of numbers. Scratch memory is counted in numbers, for
// each thread.
#define EXPORT(CELL, NUMBER)                                                                 \
    extern "C" {                                                                             \
    long scratch(const Problem* p) { return scratch_size<CELL, NUMBER>(*p); }                \
    void forward(const Problem* p) { run<ForwardPass, CELL, NUMBER>(*p); }                   \
    void backward(const Problem* p) { run<BackwardPass, CELL, NUMBER>(*p); }                 \
    }
