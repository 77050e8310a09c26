// A replica backward through time.
//
// The running gradient is held as 2^e g and g is rescaled by exact powers of two when its norm leaves 2^-40 .. 2^40
// (see scaling.py).

#pragma once

#include <cmath>

#include "sums.h"

namespace {

template <class Cell, class T> struct BackwardPass : WeightSums<Cell, T> {
    using Base = WeightSums<Cell, T>;
    using Base::p, Base::r, Base::steps, Base::B, Base::H, Base::I, Base::PARTS, Base::TARGETS;
    using Base::kept_width, Base::vectors, Base::A, Base::width, Base::chunk, Base::exponents, Base::EXACT;
    using Limits = std::numeric_limits<T>;
    static constexpr long TERMS = Cell::TERMS.size();
    static constexpr double FAR = 40;  // |log2 of the norm of g| from which on g is rescaled

    T* transposed[TERMS + 1] = {};                                // the weights of terms that lead to a target, packed
    T *d[PARTS], *d_before[PARTS], *direct[PARTS], *full[PARTS];  // rows of dL/d(part), see Backward
    T* products[TARGETS + 1] = {};                                // rows of the other targets
    T *zeros, *carried;
    std::vector<const T*> begun;  // where each sequence's row of a target begins
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
        long widest = 0;
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
            this->sum_weights(first, end);
        }
        this->write_weights();
        if (p.d_start)
            for (long i = 0; i < PARTS; i++) write_start(i);
    }

    void prepare() {
        this->copy_vectors();
        for (long i = 0; i < TERMS; i++)
            if (transposed[i]) pack(Cell::TERMS[i], transposed[i]);
        for (long i = 0; i < PARTS; i++)
            for (T* rows : {d[i], d_before[i], direct[i]}) std::memset(rows, 0, B * stride(i) * sizeof(T));
        for (const Target& target : Cell::TARGETS) std::memset(zeros, 0, wide<T>(target.width.of(H)) * sizeof(T));
        begun.resize(B);
        this->begin_sums();
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
            for (long b = 0; b < B; b++) begun[b] = i < PARTS ? direct[i] + b * stride(i) : zeros;
            product<T>(B, Cell::TARGETS[i].width.of(H), begun.data(), factors, count,
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
};

}  // namespace
