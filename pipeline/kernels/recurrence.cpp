// Level 3: the tanh RNN, GRU and LSTM forward and backward through time on the CPU, all replicas in one call.
//
// One replica is one task: a thread runs all T steps of it without waiting for anybody, so the replica's packed weights
// stay in its cache, and results depend neither on the number of threads nor on the other replicas. Letters as in
// cells/*.py: gates are columns in torch.nn's order, B sequences, H units, I channels. With a = the columns before the
// activations and A = dL/da,
//
//     forward    a_t = b + W x_t + U h_(t-1)          then the activations of the cell
//     backward   A_t from dL/dh_t                     the cell's derivatives
//                dL/dh_(t-1) = A_t U (+ the part that does not pass through the gates)
//                dL/dU += A_t' h_(t-1),  dL/dW += A_t' x_t,  dL/db += A_t        summed over chunks of steps
//
// The running gradient is held as 2^e g and g is rescaled by exact powers of two when its norm leaves 2^-20 .. 2^20
// (see scaling.py). All arrays are row-major; the layouts stand at `Problem`.

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

// ---------------------------------------------------------------- vectors

#if defined(__AVX512F__)
constexpr long WIDTH = 64;  // bytes in a vector register
#elif defined(__AVX__)
constexpr long WIDTH = 32;
#else
constexpr long WIDTH = 16;
#endif
template <class T> constexpr long L = WIDTH / sizeof(T);                          // lanes
template <class T> constexpr long padded(long n) { return (n + L<T> - 1) / L<T> * L<T>; }
template <class T> struct Simd;
template <> struct Simd<float> { using Int = int32_t; typedef float V __attribute__((vector_size(WIDTH))); };
template <> struct Simd<double> { using Int = int64_t; typedef double V __attribute__((vector_size(WIDTH))); };
template <class T> using V = typename Simd<T>::V;

template <class T> inline V<T> all(T value) { return V<T>{} + value; }
template <class T> inline V<T> load(const T* from) { V<T> v; std::memcpy(&v, from, WIDTH); return v; }
template <class T> inline void store(T* to, V<T> v) { std::memcpy(to, &v, WIDTH); }

// The first n lanes; the others read as zero and are not written.
#if defined(__AVX512F__)
inline V<float> load(const float* from, long n) { return (V<float>)_mm512_maskz_loadu_ps((1u << n) - 1, from); }
inline V<double> load(const double* from, long n) { return (V<double>)_mm512_maskz_loadu_pd((1u << n) - 1, from); }
inline void store(float* to, V<float> v, long n) { _mm512_mask_storeu_ps(to, (1u << n) - 1, (__m512)v); }
inline void store(double* to, V<double> v, long n) { _mm512_mask_storeu_pd(to, (1u << n) - 1, (__m512d)v); }
#else
template <class T> inline V<T> load(const T* from, long n) { V<T> v{}; std::memcpy(&v, from, n * sizeof(T)); return v; }
template <class T> inline void store(T* to, V<T> v, long n) { std::memcpy(to, &v, n * sizeof(T)); }
#endif
template <class T> using Full = std::integral_constant<long, L<T>>;
template <class T> inline V<T> load(const T* from, Full<T>) { return load(from); }
template <class T> inline void store(T* to, V<T> v, Full<T>) { store(to, v); }

// body(j, n) for the units j .. j + n - 1: whole vectors first (n known to the compiler), then the rest.
template <class T, class Body> inline void units(long H, Body body) {
    long j = 0;
    for (; j + L<T> <= H; j += L<T>) body(j, Full<T>{});
    if (j < H) body(j, H - j);
}

template <class T> inline T sum(V<T> v) {
    T total = 0;
    for (long i = 0; i < L<T>; i++) total += v[i];
    return total;
}

// ---------------------------------------------------------------- sigmoid and tanh, within a few units in the last place

template <class T> struct Exponential;
template <> struct Exponential<float> {
    static constexpr float LOG2E = 1.44269504f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
    static constexpr float ROUND = 12582912.f, LARGEST = 87.f, SATURATED = 10.f;  // tanh is 1 beyond SATURATED
    static constexpr int32_t MANTISSA = 23, ONE = 0x3f800000;
    static constexpr float POLYNOMIAL[] = {1.3926213466332443e-3f, 8.36320297157585495e-3f, 4.16665544376859389e-2f,
                                           1.66665768459939763e-1f, 0.5f};
};
template <> struct Exponential<double> {
    static constexpr double LOG2E = 1.4426950408889634, LN2_HIGH = 6.93147180369123816490e-01,
                            LN2_LOW = 1.90821492927058770002e-10;
    static constexpr double ROUND = 6755399441055744., LARGEST = 708., SATURATED = 20.;
    static constexpr int64_t MANTISSA = 52, ONE = 0x3ff0000000000000;
    static constexpr double POLYNOMIAL[] = {
        2.51004241570050668e-8, 2.76201387197339956e-7, 2.75572683786841929e-6, 2.48015211902177277e-5,
        1.98412698631059687e-4, 1.38888889172817933e-3, 8.33333333333005135e-3, 4.16666666666239915e-2,
        1.66666666666666675e-1, 0.5};
};

// e^x = 2^k (1 + m): x = k ln 2 + r with |r| <= ln 2 / 2, and m = e^r - 1 = r + r^2 p(r).
template <class T> inline void exponential(V<T> x, V<T>& power, V<T>& m) {
    using E = Exponential<T>;
    typedef typename Simd<T>::Int Bits __attribute__((vector_size(WIDTH)));
    V<T> rounded = x * E::LOG2E + E::ROUND;  // the low bits are k
    V<T> k = rounded - E::ROUND;
    V<T> r = x - k * E::LN2_HIGH - k * E::LN2_LOW;
    V<T> p = all<T>(E::POLYNOMIAL[0]);
    for (size_t i = 1; i < sizeof(E::POLYNOMIAL) / sizeof(T); i++) p = p * r + E::POLYNOMIAL[i];
    m = r * r * p + r;
    power = (V<T>)(((Bits)rounded << E::MANTISSA) + E::ONE);
}

template <class T> inline V<T> clamp(V<T> x, T bound) {
    x = x < -bound ? all<T>(-bound) : x;  // false for NaN, which stays
    return x > bound ? all<T>(bound) : x;
}

// 1 / (1 + e^-x)
template <class T> inline V<T> sigmoid(V<T> x) {
    V<T> power, m;
    exponential<T>(-clamp<T>(x, Exponential<T>::LARGEST), power, m);
    return T(1) / (power * m + (power + T(1)));
}

// (e^2x - 1) / (e^2x + 1)
template <class T> inline V<T> tanh(V<T> x) {
    V<T> power, m;
    exponential<T>(T(2) * clamp<T>(x, Exponential<T>::SATURATED), power, m);
    V<T> less_one = power * m + (power - T(1));
    return less_one / (less_one + T(2));
}

// ---------------------------------------------------------------- the problem

// What a call works on; kernels/fused.py holds the same fields. R replicas, T steps, K outputs, I channels, and
//     weights as in torch.nn: weight_ih [R, GH, I], weight_hh [R, GH, H], bias_ih and bias_hh [R, GH]
//     inputs [R or 1, T, B, I], or tokens [R or 1, T, B] of 1 or 8 bytes
//     h and c [R, T + 1, B, H] with zeros at step 0, kept [R, T, B, (gates) H]; null where nothing is to be kept
//     out and upstream = dL/d(out) [R, K, B, H]; norms [parts, R, T], log2, or null
struct Problem {
    long cell, replicas, time, batch, channels, hidden, outputs, threads, token_bytes, input_stride;
    const void *weight_ih, *weight_hh, *bias_ih, *bias_hh, *inputs;
    void *h, *c, *kept, *scratch, *out;
    const void* upstream;
    void *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh;
    double *norms;
    double floor;  // log2 of the norm of a gradient that is exactly zero
};

// The rows of one sequence at one step, as a cell's equations see them.
template <class T> struct Forward {
    const T *a, *h, *c;      // columns before the activations; state before the step
    T *kept, *h_new, *c_new;
};
template <class T> struct Backward {
    const T *dh, *dc;                        // dL/d(state after the step), that of c without the path through h
    const T *kept, *h, *c, *h_new, *c_new;
    T *A, *direct, *dc_old;                  // A; what of dL/d(state before) does not pass through U
    V<T> *squares_h, *squares_c;             // sums of (dL/dh)^2 and (dL/dc)^2, the latter in full
};

// h' = tanh(a); A = g (1 - h'^2)
struct RNN {
    static constexpr long COLUMNS = 1, RECURRENT = 1, KEPT = 0, PARTS = 1;
    static constexpr bool DIRECT = false;

    template <class T> static void forward(long H, const Forward<T>& s) {
        units<T>(H, [&](long j, auto n) { store(s.h_new + j, tanh<T>(load(s.a + j)), n); });
    }
    template <class T> static void backward(long H, const Backward<T>& s) {
        units<T>(H, [&](long j, auto n) {
            V<T> g = load(s.dh + j, n), h = load(s.h_new + j, n);
            *s.squares_h += g * g;
            store(s.A + j, g * (T(1) - h * h), n);
        });
    }
};

// r, z = sigmoid(a_r, a_z);  q = Q h + e;  n = tanh(v + r q);  h' = n + z (h - n); columns and kept: r, z, q, v or n
//     A_v = g (1 - z) (1 - n^2);  A_q = A_v r;  A_r = A_v q r (1 - r);  A_z = g (h - n) z (1 - z)
//     directly to h: g z
struct GRU {
    static constexpr long COLUMNS = 4, RECURRENT = 3, KEPT = 4, PARTS = 1;
    static constexpr bool DIRECT = true;

    template <class T> static void forward(long H, const Forward<T>& s) {
        const T* v = s.a + padded<T>(3 * H);
        units<T>(H, [&](long j, auto n) {
            V<T> r = sigmoid<T>(load(s.a + j)), z = sigmoid<T>(load(s.a + H + j)), q = load(s.a + 2 * H + j);
            V<T> proposal = tanh<T>(load(v + j) + r * q);
            store(s.h_new + j, proposal + z * (load(s.h + j, n) - proposal), n);
            store(s.kept + j, r, n), store(s.kept + H + j, z, n);
            store(s.kept + 2 * H + j, q, n), store(s.kept + 3 * H + j, proposal, n);
        });
    }
    template <class T> static void backward(long H, const Backward<T>& s) {
        units<T>(H, [&](long j, auto n) {
            V<T> g = load(s.dh + j, n), h = load(s.h + j, n);
            V<T> r = load(s.kept + j, n), z = load(s.kept + H + j, n);
            V<T> q = load(s.kept + 2 * H + j, n), proposal = load(s.kept + 3 * H + j, n);
            V<T> direct = g * z;
            V<T> A_v = (g - direct) * (T(1) - proposal * proposal), A_q = A_v * r;
            *s.squares_h += g * g;
            store(s.direct + j, direct, n);
            store(s.A + j, A_q * q * (T(1) - r), n), store(s.A + H + j, direct * (h - proposal) * (T(1) - z), n);
            store(s.A + 2 * H + j, A_q, n), store(s.A + 3 * H + j, A_v, n);
        });
    }
};

// i, f, o = sigmoid(a);  g = tanh(a_g);  c' = f c + i g;  h' = o tanh(c'); columns and kept: i, f, g, o
//     A_o = k tanh(c') o (1 - o)  with k = dL/dh';   C = dL/dc' = (that from the next step) + k o (1 - tanh^2 c')
//     A_i = C g i (1 - i);  A_f = C c f (1 - f);  A_g = C i (1 - g^2);  directly to c: C f
struct LSTM {
    static constexpr long COLUMNS = 4, RECURRENT = 4, KEPT = 4, PARTS = 2;
    static constexpr bool DIRECT = false;

    template <class T> static void forward(long H, const Forward<T>& s) {
        units<T>(H, [&](long j, auto n) {
            V<T> i = sigmoid<T>(load(s.a + j)), f = sigmoid<T>(load(s.a + H + j));
            V<T> g = tanh<T>(load(s.a + 2 * H + j)), o = sigmoid<T>(load(s.a + 3 * H + j));
            V<T> c = f * load(s.c + j, n) + i * g;
            store(s.c_new + j, c, n), store(s.h_new + j, o * tanh<T>(c), n);
            store(s.kept + j, i, n), store(s.kept + H + j, f, n);
            store(s.kept + 2 * H + j, g, n), store(s.kept + 3 * H + j, o, n);
        });
    }
    template <class T> static void backward(long H, const Backward<T>& s) {
        units<T>(H, [&](long j, auto n) {
            V<T> i = load(s.kept + j, n), f = load(s.kept + H + j, n);
            V<T> g = load(s.kept + 2 * H + j, n), o = load(s.kept + 3 * H + j, n);
            V<T> k = load(s.dh + j, n), c = load(s.c + j, n), tanh_c = tanh<T>(load(s.c_new + j, n));
            V<T> k_o = k * o;
            V<T> C = load(s.dc + j, n) + k_o * (T(1) - tanh_c * tanh_c), C_i = C * i, C_f = C * f;
            *s.squares_h += k * k, *s.squares_c += C * C;
            store(s.dc_old + j, C_f, n);
            store(s.A + j, C_i * g * (T(1) - i), n), store(s.A + H + j, C_f * c * (T(1) - f), n);
            store(s.A + 2 * H + j, C_i * (T(1) - g * g), n), store(s.A + 3 * H + j, k_o * tanh_c * (T(1) - o), n);
        });
    }
};

// ---------------------------------------------------------------- matrix products

constexpr long TALL = WIDTH == 32 ? 6 : 8;  // rows and
constexpr long WIDE = 2;                    // vectors of the block of the result that is held in registers
constexpr long ROWS = 32;                   // sequences that go forward together
constexpr long CHUNK = 256;                 // rows (steps x sequences) summed into the weights' gradients at a time
template <class T> constexpr long PANEL = WIDE * L<T>;
template <class T> constexpr long panels(long columns) { return (columns + PANEL<T> - 1) / PANEL<T>; }
template <class T> constexpr long wide(long columns) { return panels<T>(columns) * PANEL<T>; }

// One product: left [rows, depth] times right [depth, columns], the latter packed: panels of PANEL columns, zeros behind
// the last column. With `across`, left lies transposed, [depth, rows].
template <class T> struct Factor {
    const T* left;
    long stride;  // between the rows of what lies in memory at `left`
    const T* right;
    long depth;
};

// out[row] = begin[row] + the sum of the factors' products, for M rows and N vectors of one panel.
template <class T, long M, long N, bool ACROSS, size_t FACTORS>
inline void block(const T* const* begin, long column, const Factor<T> (&factors)[FACTORS], long row, long panel, T* out,
                  long out_stride) {
    V<T> total[M][N];
    for (long m = 0; m < M; m++)
        for (long n = 0; n < N; n++) total[m][n] = load(begin[m] + column + n * L<T>);
    for (const Factor<T>& factor : factors) {
        const T* left = factor.left + row * (ACROSS ? 1 : factor.stride);
        const T* right = factor.right + panel * factor.depth * PANEL<T>;
        for (long k = 0; k < factor.depth; k++, right += PANEL<T>) {
            V<T> across[N];
            for (long n = 0; n < N; n++) across[n] = load(right + n * L<T>);
            for (long m = 0; m < M; m++)
                for (long n = 0; n < N; n++)
                    total[m][n] += (ACROSS ? left[k * factor.stride + m] : left[m * factor.stride + k]) * across[n];
        }
    }
    for (long m = 0; m < M; m++)
        for (long n = 0; n < N; n++) store(out + m * out_stride + column + n * L<T>, total[m][n]);
}

// The same for `rows` < M rows.
template <class T, long M, long N, bool ACROSS, size_t FACTORS>
inline void rest(long rows, const T* const* begin, long column, const Factor<T> (&factors)[FACTORS], long row,
                 long panel, T* out, long out_stride) {
    if constexpr (M > 1) {
        if (rows == M - 1) block<T, M - 1, N, ACROSS>(begin, column, factors, row, panel, out, out_stride);
        else rest<T, M - 1, N, ACROSS>(rows, begin, column, factors, row, panel, out, out_stride);
    }
}

template <class T, long N, bool ACROSS, size_t FACTORS>
void panel_product(long rows, const T* const* begin, const Factor<T> (&factors)[FACTORS], long panel, T* out,
                   long out_stride) {
    long row = 0, column = panel * PANEL<T>;
    for (; row + TALL <= rows; row += TALL)
        block<T, TALL, N, ACROSS>(begin + row, column, factors, row, panel, out + row * out_stride, out_stride);
    rest<T, TALL, N, ACROSS>(rows - row, begin + row, column, factors, row, panel, out + row * out_stride, out_stride);
}

template <class T, size_t FACTORS>
void product(long rows, long columns, const T* const* begin, const Factor<T> (&factors)[FACTORS], T* out,
             long out_stride) {
    for (long panel = 0; panel < panels<T>(columns); panel++)
        if (columns - panel * PANEL<T> > L<T>) panel_product<T, 2, false>(rows, begin, factors, panel, out, out_stride);
        else panel_product<T, 1, false>(rows, begin, factors, panel, out, out_stride);
}

// Pack value(k, column) for `product`.
template <class T, class Value> void pack(long depth, long columns, Value value, T* packed) {
    for (long panel = 0; panel < panels<T>(columns); panel++)
        for (long k = 0; k < depth; k++)
            for (long j = 0, column = panel * PANEL<T>; j < PANEL<T>; j++, column++)
                *packed++ = column < columns ? value(k, column) : T(0);
}

// ---------------------------------------------------------------- one replica

// Hands out parts of a thread's scratch memory, each at a multiple of WIDTH; with no memory it only counts.
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
    const Problem& p;
    long r, T_, B, H, I, columns = Cell::COLUMNS * H, recurrent = Cell::RECURRENT * H;
    const T *weight_ih, *weight_hh, *bias_ih, *bias_hh;

    Replica(const Problem& p, long r)
        : p(p), r(r), T_(p.time), B(p.batch), H(p.hidden), I(p.channels),
          weight_ih((const T*)p.weight_ih + r * gates() * H * I), weight_hh((const T*)p.weight_hh + r * gates() * H * H),
          bias_ih((const T*)p.bias_ih + r * gates() * H), bias_hh((const T*)p.bias_hh + r * gates() * H) {}

    static constexpr long gates() { return Cell::RECURRENT; }
    bool tokens() const { return p.token_bytes > 0; }
    const T* input(long t, long b) const { return (const T*)p.inputs + r * p.input_stride + (t * B + b) * I; }
    long token(long t, long b) const {
        long at = r * p.input_stride + t * B + b;
        return p.token_bytes == 1 ? ((const uint8_t*)p.inputs)[at] : ((const int64_t*)p.inputs)[at];
    }
    // Row b of step t (of a state: before step t) in an array [R, steps, B, width].
    T* row(void* array, long steps, long t, long b, long width) const {
        return array ? (T*)array + ((r * steps + t) * B + b) * width : nullptr;
    }
    // The GRU's columns v see the input alone, its columns q the state alone. Both stand in the rows of torch.nn's n.
    static constexpr bool SPLIT = Cell::COLUMNS != Cell::RECURRENT;
    bool reads_input(long column) const { return !SPLIT || column < 2 * H || column >= 3 * H; }
    long gate_row(long column) const { return column < recurrent ? column : column - H; }
    T bias(long column) const {
        if (!SPLIT || column < 2 * H) return bias_ih[column] + bias_hh[column];
        return column < 3 * H ? bias_hh[column] : bias_ih[column - H];
    }
    T input_weight(long channel, long column) const {
        return reads_input(column) ? weight_ih[gate_row(column) * I + channel] : T(0);
    }
};

// ---------------------------------------------------------------- forward

template <class Cell, class T> struct ForwardPass : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::T_, Base::B, Base::H, Base::I, Base::columns, Base::recurrent, Base::SPLIT;
    long first, a_width;           // columns of the product with the state; of a, where v follows behind them
    T *U, *W, *W_v;                // packed
    T *begin;                      // [I or 1, a_width]: b, or b + W x for every token
    T *a, *ring, *kept;            // of ROWS sequences; ring: the states before and after a step where none are kept
    const T* begins[ROWS];

    ForwardPass(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r) {
        first = SPLIT ? padded<T>(recurrent) : 0;
        a_width = SPLIT ? first + wide<T>(H) + PANEL<T> : wide<T>(columns);
        U = scratch.take(H * wide<T>(recurrent));
        W = scratch.take(I * wide<T>(recurrent));
        W_v = scratch.take(I * wide<T>(H));
        begin = scratch.take((this->tokens() ? I : 1) * a_width);
        a = scratch.take(ROWS * a_width);
        ring = scratch.take(4 * ROWS * H);
        kept = scratch.take(ROWS * Cell::KEPT * H);
    }

    void pack_weights() {
        pack<T>(H, recurrent, [&](long k, long column) { return this->weight_hh[column * H + k]; }, U);
        pack<T>(I, recurrent, [&](long i, long column) { return this->input_weight(i, column); }, W);
        if (SPLIT) pack<T>(I, H, [&](long i, long column) { return this->input_weight(i, 3 * H + column); }, W_v);
        std::memset(begin, 0, (this->tokens() ? I : 1) * a_width * sizeof(T));
        for (long i = 0; i < (this->tokens() ? I : 1); i++)
            for (long column = 0; column < columns; column++)
                begin[i * a_width + (column < recurrent ? column : first + column - recurrent)] =
                    this->bias(column) + (this->tokens() ? this->input_weight(i, column) : T(0));
    }

    void run() {
        pack_weights();
        for (long b = 0; b < B; b += ROWS) run(b, std::min(ROWS, B - b));
    }

    // `rows` sequences from number b on, through all steps.
    void run(long b, long rows) {
        bool keep = p.h != nullptr;
        T* const rings[2][2] = {{ring, ring + ROWS * H}, {ring + 2 * ROWS * H, ring + 3 * ROWS * H}};
        T* h = keep ? this->row(p.h, T_ + 1, 0, b, H) : rings[0][0];
        T* c = keep ? this->row(p.c, T_ + 1, 0, b, H) : rings[1][0];
        std::memset(h, 0, rows * H * sizeof(T));
        if (Cell::PARTS == 2) std::memset(c, 0, rows * H * sizeof(T));
        for (long t = 0; t < T_; t++) {
            T* h_new = keep ? this->row(p.h, T_ + 1, t + 1, b, H) : rings[0][(t + 1) % 2];
            T* c_new = keep ? this->row(p.c, T_ + 1, t + 1, b, H) : rings[1][(t + 1) % 2];
            multiply(t, b, rows, h);
            for (long i = 0; i < rows; i++)
                Cell::template forward<T>(H, {a + i * a_width, h + i * H, c + i * H,
                                              keep ? this->row(p.kept, T_, t, b + i, Cell::KEPT * H) : kept,
                                              h_new + i * H, c_new + i * H});
            h = h_new, c = c_new;
            if (t >= T_ - p.outputs)
                std::memcpy(this->row(p.out, p.outputs, t - T_ + p.outputs, b, H), h, rows * H * sizeof(T));
        }
    }

    // a = b + W x + U h
    void multiply(long t, long b, long rows, const T* h) {
        for (long i = 0; i < rows; i++) begins[i] = begin + (this->tokens() ? this->token(t, b + i) * a_width : 0);
        const T* x = this->input(t, b);
        long depth = this->tokens() ? 0 : I;
        product<T, 2>(rows, recurrent, begins, {{x, I, W, depth}, {h, H, U, H}}, a, a_width);
        if (!SPLIT) return;
        for (long i = 0; i < rows; i++) begins[i] += first;
        product<T, 1>(rows, H, begins, {{x, I, W_v, depth}}, a + first, a_width);
    }
};

// ---------------------------------------------------------------- backward

template <class Cell, class T> struct BackwardPass : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::r, Base::T_, Base::B, Base::H, Base::I, Base::columns, Base::recurrent;
    static constexpr double SMALL = 0x1p-40, LARGE = 0x1p40;  // squared norms of g between which its scale stays
    long h_width, A_width, c_width, steps;                    // rows of dh; of A; of the sums; steps of a chunk
    T *U, *dh, *dh_old, *dc, *dc_old;                         // U packed; rows are padded with zeros
    T *A;                                                     // of a chunk [steps, B, columns], at the scales `scale`
    T *panel, *sums;                                          // A packed; [H + I + 1, columns]: dL/dU', dL/dW', dL/db
    std::vector<const T*> begins;
    std::vector<long> scale;                                  // e of each step of the chunk
    long e = 0;                                               // dL/d(state) = 2^e g
    bool empty = true;                                        // g is zero, for no output has been reached yet

    BackwardPass(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r) {
        h_width = wide<T>(H), A_width = padded<T>(columns), c_width = wide<T>(columns);
        steps = std::max(1L, std::min(T_, CHUNK / B));
        U = scratch.take(recurrent * wide<T>(H));
        dh = scratch.take(B * h_width), dh_old = scratch.take(B * h_width);
        dc = scratch.take(B * h_width), dc_old = scratch.take(B * h_width);
        A = scratch.take(steps * B * A_width);
        panel = scratch.take(steps * B * PANEL<T>);
        sums = scratch.take((H + I + 1) * c_width);
    }

    void run() {
        pack<T>(recurrent, H, [&](long column, long k) { return this->weight_hh[column * H + k]; }, U);
        for (T* part : {dh, dh_old, dc, dc_old}) std::memset(part, 0, B * h_width * sizeof(T));
        std::memset(sums, 0, (H + I + 1) * c_width * sizeof(T));
        scale.assign(steps, 0);
        begins.resize(std::max({B, H, I}));
        for (long end = T_; end > 0;) {
            long begin = (end - 1) / steps * steps;
            for (long t = end - 1; t >= begin; t--) step(t, A + (t - begin) * B * A_width, scale[t - begin]);
            sum_weights(begin, end);
            end = begin;
        }
        write_weights();
    }

    void step(long t, T* A_t, long& scale_t) {
        if (t >= T_ - p.outputs) inject(this->row((void*)p.upstream, p.outputs, t - T_ + p.outputs, 0, H));
        scale_t = e;
        V<T> squares_h{}, squares_c{};
        for (long b = 0; b < B; b++)
            Cell::template backward<T>(
                H, {dh + b * h_width, dc + b * h_width, this->row(p.kept, T_, t, b, Cell::KEPT * H),
                    this->row(p.h, T_ + 1, t, b, H), this->row(p.c, T_ + 1, t, b, H),
                    this->row(p.h, T_ + 1, t + 1, b, H), this->row(p.c, T_ + 1, t + 1, b, H), A_t + b * A_width,
                    dh_old + b * h_width, dc_old + b * h_width, &squares_h, &squares_c});
        double largest = p.norms ? note(t, sum<T>(squares_h), sum<T>(squares_c), A_t) : 1;
        for (long b = 0; b < B; b++) begins[b] = dh_old + b * h_width;  // what passes directly, or zeros
        product<T, 1>(B, H, begins.data(), {{A_t, A_width, U, recurrent}}, Cell::DIRECT ? dh : dh_new(), h_width);
        finish_step(largest);
    }
};

}  // namespace
