// What a call works on, and how a cell describes itself. kernels/fused.py holds the same fields.

#pragma once

#include <array>

namespace {

// A matrix [rows, columns] or a row of numbers for each replica: element (k, n) of replica r lies at
// data[r * stride + k * row + n * column], its gradient at gradient[r * d_stride + the same].
struct Weight {
    const void* data;
    void* gradient;
    long stride, d_stride, row, column;
};

// R replicas, T steps, B sequences, H units, I channels, K outputs:
//     inputs [R or 1, T, B, I], or tokens [R or 1, T, B] of 1 or 8 bytes
//     parts of the state [R, T + 1, B, width], that before step 0 first, kept [R, T, B, width]; null where nothing is kept
//     out and upstream = dL/d(out) [R, K, B, width of the first part]; norms [R, T] of each part, log2, or null
//     start and d_start [R, B, width] of each part: the state before the first step and dL/d(it), or null for zeros
//     states = the first part and errors = dL/d(it) after each step, at its true scale [R, T, B, width], or null
struct Problem {
    long replicas, time, batch, channels, hidden, outputs, threads, token_bytes, input_stride;
    const Weight* weights;
    const void* inputs;
    void* const* parts;
    void *kept, *scratch, *out;
    const void* upstream;
    void* const* norms;
    double floor;  // log2 of the norm of a gradient that is exactly zero
    void *states, *errors;
    const void* const* start;
    void* const* d_start;
};

// A cell is a struct with these tables and functions. One step goes forward in stages: the columns `a` of a stage's
// panels are products of rows with weights; then a function of a single sequence turns them into new parts of the state,
// into rows for the products of the next stage, and into numbers kept for the way back. One step back has stages of its
// own: a function writes columns of A = dL/da, and products with A give what the functions of later stages read.
//
//     STAGES, BACK_STAGES//
//     PARTS              widths of the parts of the state        KEPT      width of what a step keeps
//     SOURCES            rows that products read                 PANELS    columns computed together
//     TERMS, ADDED       which weights they are made of          VECTORS   weights that the functions read themselves
//     TARGETS            gradients that are products: first those of the parts before the step, then of other sources
//     COLUMNS            width of A: the panels' columns, then gradients of weights that no panel has
//     FULL               whether dL/d(part after the step) is more than what the next step and the loss send
//     forward<stage>, backward<stage>   see Forward and Backward

// A length: so many times H, and so many more.
struct Size {
    long units, ones = 0;
    constexpr long of(long H) const { return units * H + ones; }
};

enum From { STATE, INPUT, NEW, KEPT };

struct Source {
    From from;
    long part;   // of the state before (STATE) or after the step (NEW)
    Size at;     // where in `kept` (KEPT)
    Size width;  // that of INPUT is I
};
struct Panel {
    long stage;
    Size at, width;  // columns of A
};
// `width` columns of the panel, from `at` of A on, get `source` times as many columns of the weight, from `column` on.
struct Term {
    long panel, source, weight, target;  // target: which gets A times the weight's transpose; -1 for none
    Size at, column, width;
};
// The same columns get this row of numbers (panel -1: A there holds its gradient, and no more); `single`: one number.
struct Added {
    long panel, weight;
    Size at, column, width;
    bool single = false;
};
struct Vector {
    long weight;
    Size column, width;
};
struct Target {
    long stage;  // after which it is computed on the way back
    Size width;
    bool product;  // whether any term leads to it
};

// The rows of one sequence at one step, as a cell's functions see them.
template <class T> struct Forward {
    long H;
    const T* a;         // the columns; those of panel p from start[p] on
    const long* start;
    const T* const* before;  // the parts of the state
    T* const* after;
    T* kept;
    const T* const* vectors;
    T* carried;  // from one loop to another, CARRIED numbers
};
template <class T> struct Backward {
    long H;
    const T* const* d;  // dL/d(part after the step), from the next step and from the loss
    const T* const* before;
    const T* const* after;
    const T* kept;
    const T* const* vectors;
    const T* const* products;  // the targets that are not parts, once they are computed
    T* A;
    T* const* direct;  // what of dL/d(part before) does not pass through products
    T* const* full;    // dL/d(part after) in full, where FULL
    T* carried;
    V<T>* squares;     // sums of the squares of dL/d(part after) in full
};

}  // namespace
