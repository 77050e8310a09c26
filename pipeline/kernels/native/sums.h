// The gradients of one replica's weights: products of what each step multiplied with A = dL/da, summed over chunks of steps.

#pragma once

#include <vector>

#include "replica.h"

namespace {

template <class Cell, class T> struct WeightSums : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::steps, Base::B, Base::H, Base::I, Base::SOURCES, Base::kept_width;
    using Limits = std::numeric_limits<T>;
    static constexpr long EXACT = Limits::max_exponent - 3;  // 2^EXACT and 2^-EXACT are exact

    long columns = Cell::COLUMNS.of(H);
    long width = (padded<T>(columns) / L<T> | 1) * L<T>;    // of a row of A: odd, so that rows fall in all cache sets
    long chunk = std::max(1L, std::min(steps, CHUNK / B));  // steps
    T *A, *x, *sums;  // A and [x, 1] of a chunk; [source rows ..., I + 1, width]: sums of source' A
    long first_row[SOURCES + 1] = {};  // where a source's rows begin in `sums`
    std::vector<const T*> begins;
    std::vector<long> exponents;  // of each step of the chunk: A there is that of the loss times 2^-exponent
    std::vector<char> used;       // [source, panel of A]: whether the source's product with these columns is of use

    WeightSums(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r, scratch) {
        A = scratch.take(chunk * B * width);
        x = scratch.take(chunk * B * (I + 1));
        long rows = 0;
        for (long s = 0; s < SOURCES; s++) {
            first_row[s] = rows;
            if (Cell::SOURCES[s].from != INPUT) rows += this->depth(Cell::SOURCES[s]);
        }
        for (long s = 0; s < SOURCES; s++)
            if (Cell::SOURCES[s].from == INPUT) first_row[s] = rows;
        first_row[SOURCES] = rows;
        sums = scratch.take((rows + I + 1) * width);
    }

    void begin_sums() {
        long rows = first_row[SOURCES] + I + 1;
        std::memset(sums, 0, rows * width * sizeof(T));
        begins.resize(rows);
        exponents.resize(chunk);
        note_used();
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
