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

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

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

// ---------------------------------------------------------------- forward

template <class Cell, class T> struct ForwardPass : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::steps, Base::B, Base::H, Base::I, Base::PARTS, Base::SOURCES, Base::PANELS;
    using Base::kept_width;
    long tables = this->tokens() ? I : 1;
    long start[PANELS + 1] = {};  // where each panel's columns begin in a row of a, and the width of the row
    T* matrices[PANELS + 1][SOURCES + 1] = {};  // packed; null where the source has no part in the panel
    T *begin;                                   // [tables, width]: b, or b + W x for each token
    T *a, *ring[PARTS], *ring_kept, *carried;             // of ROWS sequences; the rings serve where none are kept
    const T* begins[ROWS];

    ForwardPass(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r, scratch) {
        for (long i = 0; i < PANELS; i++) start[i + 1] = start[i] + padded<T>(Cell::PANELS[i].width.of(H));
        for (const Term& term : Cell::TERMS) {
            T*& matrix = matrices[term.panel][term.source];
            if (!matrix) matrix = scratch.take(size(term));
        }
        begin = scratch.take(tables * start[PANELS]);
        a = scratch.take(ROWS * start[PANELS]);
        for (long i = 0; i < PARTS; i++) ring[i] = scratch.take(2 * ROWS * Cell::PARTS[i].of(H));
        ring_kept = scratch.take(ROWS * kept_width);
        carried = scratch.take(ROWS * Cell::CARRIED.of(H));
    }

    long size(const Term& term) const {
        return this->depth(Cell::SOURCES[term.source]) * wide<T>(Cell::PANELS[term.panel].width.of(H));
    }

    void run() {
        this->copy_vectors();
        pack_weights();
        for (long b = 0; b < B; b += ROWS) sequences(b, std::min(ROWS, B - b));
    }

    void pack_weights() {
        for (const Term& term : Cell::TERMS) std::memset(matrices[term.panel][term.source], 0, size(term) * sizeof(T));
        std::memset(begin, 0, tables * start[PANELS] * sizeof(T));
        for (const Added& added : Cell::ADDED) {
            if (added.panel < 0) continue;
            const Weight& w = p.weights[added.weight];
            T* to = begin + start[added.panel] + added.at.of(H) - Cell::PANELS[added.panel].at.of(H);
            for (long i = 0; i < tables; i++)
                for (long n = 0; n < added.width.of(H); n++)
                    to[i * start[PANELS] + n] += this->weight(w, 0, added.single ? 0 : added.column.of(H) + n);
        }
        for (const Term& term : Cell::TERMS) pack(term);
    }

    void pack(const Term& term) {
        const Weight& w = p.weights[term.weight];
        const Source& source = Cell::SOURCES[term.source];
        long depth = this->depth(source), first = term.at.of(H) - Cell::PANELS[term.panel].at.of(H);
        bool table = source.from == INPUT && this->tokens();
        for (long n = 0; n < term.width.of(H); n++)
            for (long k = 0; k < depth; k++) {
                T value = this->weight(w, k, term.column.of(H) + n);
                if (table) begin[k * start[PANELS] + start[term.panel] + first + n] += value;
                else matrices[term.panel][term.source][packed<T>(depth, k, first + n)] += value;
            }
    }

    // `rows` sequences from number b on, through all steps.
    void sequences(long b, long rows) {
        for (long i = 0; i < PARTS; i++) begin_with(i, b, rows);
        for (long t = 0; t < steps; t++) {
            T* kept = p.kept ? this->kept(t) + b * kept_width : ring_kept;
            stages<Cell::STAGES>([&](auto stage) {
                columns<stage>(t, b, rows, kept);
                pointwise<stage>(t, b, rows, kept);
            });
            if (this->output(t) >= 0)
                std::memcpy(out(t) + b * this->first_width, state(0, t + 1, b), rows * this->first_width * sizeof(T));
        }
    }

    void begin_with(long i, long b, long rows) {
        long width = Cell::PARTS[i].of(H);
        if (!p.start) std::memset(state(i, 0, b), 0, rows * width * sizeof(T));
        else std::memcpy(state(i, 0, b), this->of(p.start[i], B * width) + b * width, rows * width * sizeof(T));
    }

    T* out(long t) const {
        return this->of(p.out, p.outputs * B * this->first_width) + this->output(t) * B * this->first_width;
    }

    // Sequence b of a part of the state before step t.
    T* state(long i, long t, long b) const {
        long width = Cell::PARTS[i].of(H);
        return p.parts ? this->part(i, t) + b * width : ring[i] + t % 2 * ROWS * width;
    }

    template <int STAGE> void pointwise(long t, long b, long rows, T* kept) {
        const T* before[PARTS];
        T* after[PARTS];
        for (long i = 0; i < PARTS; i++) before[i] = state(i, t, b), after[i] = state(i, t + 1, b);
        T* next = p.kept && t + 1 < steps ? this->kept(t + 1) + b * kept_width : kept;
        for (long row = 0; row < rows; row++) {
            if (STAGE == 0) fetch<1>(next + row * kept_width, kept_width);
            Cell::template forward<STAGE, T>(
                {H, a + row * start[PANELS], start, before, after, kept + row * kept_width, this->vectors,
                 carried + row * Cell::CARRIED.of(H)});
            for (long i = 0; i < PARTS; i++) before[i] += Cell::PARTS[i].of(H), after[i] += Cell::PARTS[i].of(H);
        }
    }

    // a = b + W x + U h, and whatever else a panel of this stage is made of.
    template <int STAGE> void columns(long t, long b, long rows, const T* kept) {
        for (long panel = 0; panel < PANELS; panel++) {
            if (Cell::PANELS[panel].stage != STAGE) continue;
            for (long i = 0; i < rows; i++)
                begins[i] = begin + start[panel] + (this->tokens() ? this->token(t, b + i) * start[PANELS] : 0);
            Factor<T> factors[SOURCES + 1];
            long count = 0;
            for (long s = 0; s < SOURCES; s++) {
                const Source& source = Cell::SOURCES[s];
                if (!matrices[panel][s] || (source.from == INPUT && this->tokens())) continue;
                long depth = this->depth(source), stride = source.from == KEPT ? kept_width : depth;
                factors[count++] = {rows_of(source, t, b, kept), stride, matrices[panel][s], depth};
            }
            long width = Cell::PANELS[panel].width.of(H);
            product<T>(rows, width, begins, factors, count, a + start[panel], start[PANELS]);
        }
    }

    const T* rows_of(const Source& source, long t, long b, const T* kept) const {
        if (source.from == INPUT) return this->input(t, b);
        if (source.from == KEPT) return kept + source.at.of(H);
        return state(source.part, source.from == NEW ? t + 1 : t, b);
    }
};

// ---------------------------------------------------------------- backward

template <class Cell, class T> struct BackwardPass : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::r, Base::steps, Base::B, Base::H, Base::I, Base::PARTS, Base::SOURCES, Base::TARGETS;
    using Base::kept_width, Base::vectors;
    using Limits = std::numeric_limits<T>;
    static constexpr long TERMS = Cell::TERMS.size();
    static constexpr double FAR = 40;  // |log2 of the norm of g| from which on g is rescaled
    static constexpr long EXACT = Limits::max_exponent - 3;  // 2^EXACT and 2^-EXACT are exact

    long columns = Cell::COLUMNS.of(H);
    long width = (padded<T>(columns) / L<T> | 1) * L<T>;    // of a row of A: odd, so that rows fall in all cache sets
    long chunk = std::max(1L, std::min(steps, CHUNK / B));  // steps
    T* transposed[TERMS + 1] = {};                          // the weights of terms that lead to a target, packed
    T *d[PARTS], *d_before[PARTS], *direct[PARTS], *full[PARTS];  // rows of dL/d(part), see Backward
    T *products[TARGETS + 1] = {};                                // rows of the other targets
    T *A, *x, *sums, *zeros, *carried;  // A and [x, 1] of a chunk; [source rows ..., I + 1, width]: sums of source' A
    long first_row[SOURCES + 1] = {};   // where a source's rows begin in `sums`
    std::vector<const T*> begins;
    std::vector<long> exponents;  // e of each step of the chunk
    std::vector<char> used;       // [source, panel of A]: whether the source's product with these columns is of use
    long e = 0;                   // dL/d(state) = 2^e g
    bool empty = true;            // no output has been reached yet: g is zero

    BackwardPass(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r, scratch) {
        for (long i = 0; i < TERMS; i++) {
            const Term& term = Cell::TERMS[i];
            if (term.target >= 0) transposed[i] = scratch.take(size(term));
        }
        for (long i = 0; i < PARTS; i++) {
            d[i] = scratch.take(B * stride(i)), d_before[i] = scratch.take(B * stride(i));
            direct[i] = Cell::TARGETS[i].product ? scratch.take(B * stride(i)) : d_before[i];
            full[i] = Cell::FULL[i] ? scratch.take(B * stride(i)) : d[i];
        }
        for (long i = PARTS; i < TARGETS; i++) products[i] = scratch.take(B * stride(i));
        A = scratch.take(chunk * B * width);
        x = scratch.take(chunk * B * (I + 1));
        long rows = 0, widest = 0;
        for (long s = 0; s < SOURCES; s++) {
            first_row[s] = rows;
            if (Cell::SOURCES[s].from != INPUT) rows += this->depth(Cell::SOURCES[s]);
        }
        for (long s = 0; s < SOURCES; s++)
            if (Cell::SOURCES[s].from == INPUT) first_row[s] = rows;
        first_row[SOURCES] = rows;
        sums = scratch.take((rows + I + 1) * width);
        for (const Target& target : Cell::TARGETS) widest = std::max(widest, target.width.of(H));
        zeros = scratch.take(wide<T>(widest));
        carried = scratch.take(B * Cell::CARRIED.of(H));
    }

    long stride(long target) const { return padded<T>(Cell::TARGETS[target].width.of(H)); }
    long size(const Term& term) const { return term.width.of(H) * wide<T>(Cell::TARGETS[term.target].width.of(H)); }

    void run() {
        prepare();
        for (long end = steps; end > 0; end = (end - 1) / chunk * chunk) {
            long first = (end - 1) / chunk * chunk;
            for (long t = end - 1; t >= first; t--) {
                if (this->output(t) >= 0)
                    inject(this->of(p.upstream, p.outputs * B * this->first_width) + this->output(t) * B * this->first_width);
                exponents[t - first] = e;
                step(t, A + (t - first) * B * width);
            }
            sum_weights(first, end);
        }
        write_weights();
        if (p.d_start)
            for (long i = 0; i < PARTS; i++) write_start(i);
    }

    void prepare() {
        this->copy_vectors();
        for (long i = 0; i < TERMS; i++)
            if (transposed[i]) pack(Cell::TERMS[i], transposed[i]);
        for (long i = 0; i < PARTS; i++)
            for (T* rows : {d[i], d_before[i], direct[i]}) std::memset(rows, 0, B * stride(i) * sizeof(T));
        long rows = first_row[SOURCES] + I + 1;
        std::memset(sums, 0, rows * width * sizeof(T));
        for (const Target& target : Cell::TARGETS) std::memset(zeros, 0, wide<T>(target.width.of(H)) * sizeof(T));
        begins.resize(std::max(B, rows));
        exponents.resize(chunk);
        note_used();
    }

    void pack(const Term& term, T* to) {
        const Weight& w = p.weights[term.weight];
        long depth = term.width.of(H), columns = Cell::TARGETS[term.target].width.of(H);
        std::memset(to, 0, size(term) * sizeof(T));
        for (long n = 0; n < depth; n++)
            for (long k = 0; k < columns; k++) to[packed<T>(depth, n, k)] = this->weight(w, k, term.column.of(H) + n);
    }

    // One step back: A_t, the norms, and d before the step.
    void step(long t, T* A_t) {
        V<T> squares[PARTS] = {};
        stages<Cell::BACK_STAGES>([&](auto stage) {
            pointwise<stage>(t, A_t, squares);
            multiply_out(stage, A_t);
        });
        if (p.errors) trace(t);
        double largest = p.norms ? note(0, t, sum<T>(squares[0])) : 0;
        for (long i = 1; i < PARTS && p.norms; i++) largest = std::max(largest, note(i, t, sum<T>(squares[i])));
        for (long i = 0; i < PARTS; i++) {
            std::swap(d[i], d_before[i]);
            if (!Cell::FULL[i]) full[i] = d[i];
            if (!Cell::TARGETS[i].product) direct[i] = d_before[i];
        }
        if (std::isfinite(largest) && std::abs(largest) > FAR) rescale(std::lround(largest));
    }

    template <int STAGE> void pointwise(long t, T* A_t, V<T>* squares) {
        const T *d_row[PARTS], *before[PARTS], *after[PARTS], *products_row[TARGETS + 1];
        T *direct_row[PARTS], *full_row[PARTS];
        for (long i = 0; i < PARTS; i++) {
            d_row[i] = d[i], direct_row[i] = direct[i], full_row[i] = full[i];
            before[i] = this->part(i, t), after[i] = this->part(i, t + 1);
        }
        for (long i = PARTS; i < TARGETS; i++) products_row[i] = products[i];
        const T* kept = this->kept(t);
        for (long b = 0; b < B; b++) {
            if (STAGE == 0 && t > 0) {
                fetch<0>(this->kept(t - 1) + b * kept_width, kept_width);
                for (long i = 0; i < PARTS; i++) fetch<0>(before[i] - B * Cell::PARTS[i].of(H), Cell::PARTS[i].of(H));
            }
            Cell::template backward<STAGE, T>({H, d_row, before, after, kept + b * kept_width, vectors, products_row,
                                               A_t + b * width, direct_row, full_row,
                                               carried + b * Cell::CARRIED.of(H), squares});
            for (long i = 0; i < PARTS; i++) {
                d_row[i] += stride(i), direct_row[i] += stride(i), full_row[i] += stride(i);
                before[i] += Cell::PARTS[i].of(H), after[i] += Cell::PARTS[i].of(H);
            }
            for (long i = PARTS; i < TARGETS; i++) products_row[i] += stride(i);
        }
    }

    // The targets of this stage: A times the weights of their terms.
    void multiply_out(long stage, const T* A_t) {
        for (long i = 0; i < TARGETS; i++) {
            if (Cell::TARGETS[i].stage != stage || !Cell::TARGETS[i].product) continue;
            Factor<T> factors[TERMS + 1];
            long count = 0;
            for (long j = 0; j < TERMS; j++) {
                const Term& term = Cell::TERMS[j];
                if (term.target == i) factors[count++] = {A_t + term.at.of(H), width, transposed[j], term.width.of(H)};
            }
            for (long b = 0; b < B; b++) begins[b] = i < PARTS ? direct[i] + b * stride(i) : zeros;
            product<T>(B, Cell::TARGETS[i].width.of(H), begins.data(), factors, count,
                       i < PARTS ? d_before[i] : products[i], stride(i));
        }
    }

    // Write the first part of the state and dL/d(it) after step t.
    void trace(long t) {
        long H = this->first_width;
        T *states = this->of(p.states, steps * B * H) + t * B * H, *errors = this->of(p.errors, steps * B * H) + t * B * H;
        long exponent = std::max(-2 * EXACT, std::min(2 * EXACT, e));
        T half = std::ldexp(T(1), exponent / 2), other = std::ldexp(T(1), exponent - exponent / 2);
        std::memcpy(states, this->part(0, t + 1), B * H * sizeof(T));
        for (long b = 0; b < B; b++)
            for (long j = 0; j < H; j++) errors[b * H + j] = full[0][b * stride(0) + j] * half * other;
    }

    // Write dL/d(part before the first step).
    void write_start(long i) {
        long W = Cell::PARTS[i].of(H), exponent = std::max(-2 * EXACT, std::min(2 * EXACT, e));
        T* to = this->of(p.d_start[i], B * W);
        T half = std::ldexp(T(1), exponent / 2), other = std::ldexp(T(1), exponent - exponent / 2);
        for (long b = 0; b < B; b++)
            for (long j = 0; j < W; j++) to[b * W + j] = d[i][b * stride(i) + j] * half * other;
    }

    // Write the norm of dL/d(part after step t); its log2 at the present scale.
    double note(long part, long t, double squares) {
        double log2 = log2_norm(squares, full[part], stride(part), Cell::PARTS[part].of(H));
        this->of(p.norms[part], steps)[t] = log2 == -INFINITY ? p.floor : log2 + e;
        return log2;
    }

    // log2 of the norm of B rows whose squares have this sum; where the squares left the range, from the rows.
    double log2_norm(double squares, const T* rows, long stride, long width) const {
        double log2 = std::log2(squares), largest = 0, total = 0;
        if (std::abs(log2) < Limits::max_exponent * .8) return log2 / 2;
        for (long b = 0; b < B; b++)
            for (long j = 0; j < width; j++) largest = std::max(largest, (double)std::abs(rows[b * stride + j]));
        for (long b = 0; b < B; b++)
            for (long j = 0; j < width; j++) total += std::pow(rows[b * stride + j] / largest, 2);
        return largest > 0 ? std::log2(largest) + std::log2(total) / 2 : std::isnan(squares) ? squares : -INFINITY;
    }

    void rescale(long shift) {
        shift = std::max(-EXACT, std::min(EXACT, shift));
        multiply(-shift);
        e += shift;
    }

    // g times 2^exponent
    void multiply(long exponent) {
        T factor = std::ldexp(T(1), exponent);
        for (long part = 0; part < PARTS; part++)
            for (long i = 0; i < B * stride(part); i++) d[part][i] *= factor;
    }

    // Add the gradient that the loss sends to this step's output.
    void inject(const T* rows) {
        long H = this->first_width;
        T factor = 1;
        if (p.norms) {
            double log2 = log2_norm(squares(rows), rows, H, H);
            if (log2 == -INFINITY) return;
            long wanted = std::isfinite(log2) && std::abs(log2) > FAR ? std::min(EXACT, std::lround(log2)) : 0;
            if (empty || log2 - e > FAR || e < -EXACT) multiply(e - wanted), e = wanted;
            empty = false;
            factor = std::ldexp(T(1), -e);
        }
        for (long b = 0; b < B; b++)
            for (long j = 0; j < H; j++) d[0][b * stride(0) + j] += rows[b * H + j] * factor;
    }

    double squares(const T* rows) const {
        V<T> total{};
        long H = this->first_width;
        for (long b = 0; b < B; b++)
            units<T>(H, [&](long j, auto n) { V<T> g = load(rows + b * H + j, n); total += g * g; });
        return sum<T>(total);
    }

    void note_used() {
        long panels = (columns + PANEL<T> - 1) / PANEL<T>;
        used.assign((SOURCES + 1) * panels, 0);
        auto mark = [&](long source, Size at, Size width) {
            for (long n = at.of(H); n < at.of(H) + width.of(H); n++) used[source * panels + n / PANEL<T>] = 1;
        };
        for (const Added& added : Cell::ADDED) mark(SOURCES, added.at, added.width);
        for (const Term& term : Cell::TERMS) {
            bool input = Cell::SOURCES[term.source].from == INPUT;
            mark(input ? SOURCES : term.source, term.at, term.width);
        }
    }

    // Add source' A, for every source and for [x, 1], of the steps from `first` to `end` to the sums.
    void sum_weights(long first, long end) {
        long rows = (end - first) * B, panels = (columns + PANEL<T> - 1) / PANEL<T>;
        bool vanished = true;  // A is zero at its true scale, as it is in a pass without rescaling
        for (long t = first; t < end; t++) vanished &= exponents[t - first] < Limits::min_exponent - 64;
        if (vanished) return;
        for (long t = first; t < end; t++) restore_scale(A + (t - first) * B * width, exponents[t - first]);
        if (!this->tokens()) copy_inputs(this->input(first, 0), rows);
        for (long panel = 0; panel < panels; panel++) {
            long column = panel * PANEL<T>;
            for (long s = 0; s < SOURCES; s++) {
                const Source& source = Cell::SOURCES[s];
                if (source.from == INPUT || !used[s * panels + panel]) continue;
                const T* left = source.from == KEPT ? this->kept(first) + source.at.of(H)
                                                    : this->part(source.part, source.from == NEW ? first + 1 : first);
                long depth = this->depth(source);
                add(depth, first_row[s], left, source.from == KEPT ? kept_width : depth, rows, column);
            }
            if (!used[SOURCES * panels + panel]) continue;
            if (this->tokens()) add_tokens(first, rows, column);
            else add(I + 1, first_row[SOURCES], x, I + 1, rows, column);
        }
    }

    // The rows [x, 1], a channel after the other: a call of memcpy for each short row would take longer.
    void copy_inputs(const T* from, long rows) {
        for (long i = 0; i < I; i++)
            for (long row = 0; row < rows; row++) x[row * (I + 1) + i] = from[row * I + i];
        for (long row = 0; row < rows; row++) x[row * (I + 1) + I] = 1;
    }

    // A step's rows of A times 2^exponent, in two factors, for 2^exponent may be infinite where the product is not.
    void restore_scale(T* rows, long exponent) {
        if (exponent == 0) return;
        exponent = std::max(-2 * EXACT, std::min(2 * EXACT, exponent));
        T half = std::ldexp(T(1), exponent / 2), other = std::ldexp(T(1), exponent - exponent / 2);
        for (long b = 0; b < B; b++)
            for (long i = b * width; i < b * width + columns; i++) rows[i] = rows[i] * half * other;
    }

    // sums[row .. row + n - 1] += left' A, for a panel of A's columns.
    void add(long n, long row, const T* left, long left_stride, long rows, long column) {
        for (long k = 0; k < n; k++) begins[k] = sums + (row + k) * width;
        const Factor<T> factor{left, left_stride, A + column, rows, width};
        panel_product<T, true>(n, columns - column, begins.data(), column, &factor, 1, sums + row * width, width);
    }

    void add_tokens(long first, long rows, long column) {
        for (long i = 0; i < rows; i++) {
            T* to = sums + (first_row[SOURCES] + this->token(first, i)) * width + column;
            for (long j = 0; j < std::min(PANEL<T>, columns - column); j += L<T>)
                store(to + j, load(to + j) + load(A + i * width + column + j));
        }
    }

    T* gradient(const Weight& w) const { return this->of(w.gradient, w.d_stride); }

    void write_weights() {
        T* ones = sums + (first_row[SOURCES] + I) * width;
        for (long i = 0; i < I && this->tokens(); i++)  // each sequence has one token
            for (long g = 0; g < columns; g++) ones[g] += sums[(first_row[SOURCES] + i) * width + g];
        for (bool zero : {true, false}) {
            for (const Term& term : Cell::TERMS) {
                const Weight& w = p.weights[term.weight];
                const T* from = sums + first_row[term.source] * width + term.at.of(H);
                for (long n = 0; n < term.width.of(H); n++)
                    for (long k = 0; k < this->depth(Cell::SOURCES[term.source]); k++) {
                        T& to = gradient(w)[k * w.row + (term.column.of(H) + n) * w.column];
                        to = zero ? T(0) : to + from[k * width + n];
                    }
            }
            for (const Added& added : Cell::ADDED) {
                const Weight& w = p.weights[added.weight];
                for (long n = 0; n < added.width.of(H); n++) {
                    T& to = gradient(w)[(added.single ? 0 : added.column.of(H) + n) * w.column];
                    to = zero ? T(0) : to + ones[added.at.of(H) + n];
                }
            }
        }
    }
};

}  // namespace
