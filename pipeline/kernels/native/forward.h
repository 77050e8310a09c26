// A replica forward through time.

#pragma once

#include "replica.h"

namespace {

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

}  // namespace
