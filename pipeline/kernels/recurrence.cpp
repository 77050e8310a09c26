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
// The running gradient is held as 2^e g and g is rescaled by exact powers of two when its norm leaves 2^-40 .. 2^40
// (see scaling.py). All arrays are row-major; the layouts stand at `Problem`.

#include <algorithm>
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

// load, store: of the first n lanes; the others read as zero and are not written. clamp: to -bound .. bound; NaN stays.
#if defined(__AVX512F__)
inline V<float> load(const float* from, long n) { return (V<float>)_mm512_maskz_loadu_ps((1u << n) - 1, from); }
inline V<double> load(const double* from, long n) { return (V<double>)_mm512_maskz_loadu_pd((1u << n) - 1, from); }
inline void store(float* to, V<float> v, long n) { _mm512_mask_storeu_ps(to, (1u << n) - 1, (__m512)v); }
inline void store(double* to, V<double> v, long n) { _mm512_mask_storeu_pd(to, (1u << n) - 1, (__m512d)v); }
inline V<float> clamp(V<float> x, float bound) {
    return (V<float>)_mm512_max_ps(_mm512_set1_ps(-bound), _mm512_min_ps(_mm512_set1_ps(bound), (__m512)x));
}
inline V<double> clamp(V<double> x, double bound) {
    return (V<double>)_mm512_max_pd(_mm512_set1_pd(-bound), _mm512_min_pd(_mm512_set1_pd(bound), (__m512d)x));
}
#else
template <class T> inline V<T> load(const T* from, long n) { V<T> v{}; std::memcpy(&v, from, n * sizeof(T)); return v; }
template <class T> inline void store(T* to, V<T> v, long n) { std::memcpy(to, &v, n * sizeof(T)); }
template <class Vector, class T> inline Vector clamp(Vector x, T bound) {
    x = x < -bound ? Vector{} - bound : x;
    return x > bound ? Vector{} + bound : x;
}
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
    T even = 0, odd = 0;
    for (long i = 0; i < L<T>; i += 2) even += v[i], odd += v[i + 1];
    return even + odd;
}

// -------------------------------------------------------- sigmoid and tanh, exact to a few units in the last place

template <class T> struct Exponential;
template <> struct Exponential<float> {
    static constexpr float LOG2E = 1.44269504f;
#if defined(__FMA__) || defined(__aarch64__)  // k ln 2 is not rounded, and the float ln 2 is exact to 2e-9
    static constexpr float LN2_HIGH = 0.693147181f, LN2_LOW = 0;
#else
    static constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
#endif
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
    V<T> r = x - k * E::LN2_HIGH;
    if constexpr (E::LN2_LOW != 0) r -= k * E::LN2_LOW;
    V<T> p = all<T>(E::POLYNOMIAL[0]);
    for (size_t i = 1; i < sizeof(E::POLYNOMIAL) / sizeof(T); i++) p = p * r + E::POLYNOMIAL[i];
    m = r * r * p + r;
    power = (V<T>)(((Bits)rounded << E::MANTISSA) + E::ONE);
}

// 1 / (1 + e^-x)
template <class T> inline V<T> sigmoid(V<T> x) {
    V<T> power, m;
    exponential<T>(-clamp(x, Exponential<T>::LARGEST), power, m);
    return T(1) / (power * m + (power + T(1)));
}

// (e^2x - 1) / (e^2x + 1)
template <class T> inline V<T> tanh(V<T> x) {
    V<T> power, m;
    exponential<T>(T(2) * clamp(x, Exponential<T>::SATURATED), power, m);
    V<T> less_one = power * m + (power - T(1));
    return less_one / (less_one + T(2));
}

// ---------------------------------------------------------------- the problem

// What a call works on; kernels/fused.py holds the same fields. R replicas, T steps, K outputs, I channels, and
//     weights as in torch.nn: weight_ih [R, GH, I], weight_hh [R, GH, H], bias_ih and bias_hh [R, GH]; `strides` says, in
//     this order, how far one replica's lie from the next one's, and `d_strides` the same of their gradients
//     inputs [R or 1, T, B, I], or tokens [R or 1, T, B] of 1 or 8 bytes
//     h and c [R, T + 1, B, H] with zeros at step 0, kept [R, T, B, (gates) H]; null where nothing is to be kept
//     out and upstream = dL/d(out) [R, K, B, H]; norms_h and norms_c [R, T], log2, or null
//     states = h and errors = dL/dh after each step, at its true scale [R, T, B, H], or null
struct Problem {
    long cell, replicas, time, batch, channels, hidden, outputs, threads, token_bytes, input_stride;
    const void *weight_ih, *weight_hh, *bias_ih, *bias_hh;
    long strides[4];
    const void* inputs;
    void *h, *c, *kept, *scratch, *out;
    const void* upstream;
    void *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh;
    long d_strides[4];
    void *norms_h, *norms_c;
    double floor;  // log2 of the norm of a gradient that is exactly zero
    void *states, *errors;
};

// The rows of one sequence at one step, as a cell's equations see them.
template <class T> struct Forward {
    const T *a, *h, *c;      // columns before the activations; state before the step
    T *kept, *h_new, *c_new;
};
template <class T> struct Backward {
    const T *dh, *dc;                        // dL/d(state after the step), that of c without the path through h
    const T *kept, *h, *c, *h_new, *c_new;
    T *A, *direct, *dc_full, *dc_old;        // A; what of dL/dh before does not pass through U; dL/dc after; before
    V<T> *squares_h, *squares_c;             // sums of (dL/dh)^2 and (dL/dc)^2 after the step
};

// A cell, for one sequence: COLUMNS of a, of which the first RECURRENT see the state, and KEPT numbers for the way back
// (all three in units of H); and PARTS of the state.

// h' = tanh(a); A = g (1 - h'^2)
struct RNN {
    static constexpr long COLUMNS = 1, RECURRENT = 1, KEPT = 0, PARTS = 1;

    template <class T> static void forward(long H, const Forward<T>& s) {
        units<T>(H, [&](long j, auto n) { store(s.h_new + j, tanh<T>(load(s.a + j, n)), n); });
    }
    template <class T> static void backward(long H, const Backward<T>& s) {
        V<T> squares{};
        units<T>(H, [&](long j, auto n) {
            V<T> g = load(s.dh + j, n), h = load(s.h_new + j, n);
            squares += g * g;
            store(s.A + j, g * (T(1) - h * h), n);
        });
        *s.squares_h += squares;
    }
};

// r, z = sigmoid(a_r, a_z);  q = Q h + e;  n = tanh(v + r q);  h' = n + z (h - n); columns and kept: r, z, q, v or n
//     A_v = g (1 - z) (1 - n^2);  A_q = A_v r;  A_r = A_v q r (1 - r);  A_z = g (h - n) z (1 - z)
//     directly to h: g z
struct GRU {
    static constexpr long COLUMNS = 4, RECURRENT = 3, KEPT = 4, PARTS = 1;

    template <class T> static void forward(long H, const Forward<T>& s) {
        const T* v = s.a + padded<T>(3 * H);
        units<T>(H, [&](long j, auto n) {
            V<T> r = sigmoid<T>(load(s.a + j, n)), z = sigmoid<T>(load(s.a + H + j, n)), q = load(s.a + 2 * H + j, n);
            V<T> proposal = tanh<T>(load(v + j, n) + r * q);
            store(s.h_new + j, proposal + z * (load(s.h + j, n) - proposal), n);
            store(s.kept + j, r, n), store(s.kept + H + j, z, n);
            store(s.kept + 2 * H + j, q, n), store(s.kept + 3 * H + j, proposal, n);
        });
    }
    template <class T> static void backward(long H, const Backward<T>& s) {
        V<T> squares{};
        units<T>(H, [&](long j, auto n) {
            V<T> g = load(s.dh + j, n), h = load(s.h + j, n);
            V<T> r = load(s.kept + j, n), z = load(s.kept + H + j, n);
            V<T> q = load(s.kept + 2 * H + j, n), proposal = load(s.kept + 3 * H + j, n);
            V<T> direct = g * z;
            V<T> A_v = (g - direct) * (T(1) - proposal * proposal), A_q = A_v * r;
            squares += g * g;
            store(s.direct + j, direct, n);
            store(s.A + j, A_q * q * (T(1) - r), n), store(s.A + H + j, direct * (h - proposal) * (T(1) - z), n);
            store(s.A + 2 * H + j, A_q, n), store(s.A + 3 * H + j, A_v, n);
        });
        *s.squares_h += squares;
    }
};

// i, f, o = sigmoid(a);  g = tanh(a_g);  c' = f c + i g;  h' = o tanh(c'); columns and kept: i, f, g, o
//     A_o = k tanh(c') o (1 - o)  with k = dL/dh';   C = dL/dc' = (that from the next step) + k o (1 - tanh^2 c')
//     A_i = C g i (1 - i);  A_f = C c f (1 - f);  A_g = C i (1 - g^2);  directly to c: C f
struct LSTM {
    static constexpr long COLUMNS = 4, RECURRENT = 4, KEPT = 4, PARTS = 2;

    template <class T> static void forward(long H, const Forward<T>& s) {
        units<T>(H, [&](long j, auto n) {
            V<T> i = sigmoid<T>(load(s.a + j, n)), f = sigmoid<T>(load(s.a + H + j, n));
            V<T> g = tanh<T>(load(s.a + 2 * H + j, n)), o = sigmoid<T>(load(s.a + 3 * H + j, n));
            V<T> c = f * load(s.c + j, n) + i * g;
            store(s.c_new + j, c, n), store(s.h_new + j, o * tanh<T>(c), n);
            store(s.kept + j, i, n), store(s.kept + H + j, f, n);
            store(s.kept + 2 * H + j, g, n), store(s.kept + 3 * H + j, o, n);
        });
    }
    template <class T> static void backward(long H, const Backward<T>& s) {
        V<T> squares_h{}, squares_c{};
        units<T>(H, [&](long j, auto n) {
            V<T> i = load(s.kept + j, n), f = load(s.kept + H + j, n);
            V<T> g = load(s.kept + 2 * H + j, n), o = load(s.kept + 3 * H + j, n);
            V<T> k = load(s.dh + j, n), c = load(s.c + j, n), tanh_c = tanh<T>(load(s.c_new + j, n));
            V<T> k_o = k * o;
            V<T> C = load(s.dc + j, n) + k_o * (T(1) - tanh_c * tanh_c), C_i = C * i, C_f = C * f;
            squares_h += k * k, squares_c += C * C;
            store(s.dc_full + j, C, n), store(s.dc_old + j, C_f, n);
            store(s.A + j, C_i * g * (T(1) - i), n), store(s.A + H + j, C_f * c * (T(1) - f), n);
            store(s.A + 2 * H + j, C_i * (T(1) - g * g), n), store(s.A + 3 * H + j, k_o * tanh_c * (T(1) - o), n);
        });
        *s.squares_h += squares_h, *s.squares_c += squares_c;
    }
};

// ---------------------------------------------------------------- matrix products

constexpr long TALL = WIDTH == 32 ? 6 : 8;  // rows and
constexpr long WIDE = 2;                    // vectors of the block of a result that is held in registers
template <class T> constexpr long PANEL = WIDE * L<T>;  // columns that are packed together
template <class T> constexpr long wide(long columns) { return (columns + PANEL<T> - 1) / PANEL<T> * PANEL<T>; }

// Left [rows, depth] times a panel of right [depth, columns], each in rows of its stride; with ACROSS, left lies
// transposed, [depth, rows]. A right that serves every step is packed, one panel after another, zeros behind the last.
template <class T> struct Factor {
    const T* left;
    long left_stride;
    const T* right;
    long depth;
    long right_stride = PANEL<T>;
};

// out = begin + the sum of the products, for M rows and N vectors of columns; begin holds a pointer for each row.
template <class T, long M, long N, bool ACROSS, size_t FACTORS>
inline void block(const T* const* begin, long column, const Factor<T> (&factors)[FACTORS], long row, T* out,
                  long out_stride) {
    V<T> total[M][N];
#pragma GCC unroll 16
    for (long m = 0; m < M; m++)
#pragma GCC unroll 16
        for (long n = 0; n < N; n++) total[m][n] = load(begin[row + m] + column + n * L<T>);
    for (const Factor<T>& factor : factors) {
        const T* left = factor.left + row * (ACROSS ? 1 : factor.left_stride);
        const T* right = factor.right;
        for (long k = 0; k < factor.depth; k++, right += factor.right_stride) {
            V<T> vectors[N];
#pragma GCC unroll 16
            for (long n = 0; n < N; n++) vectors[n] = load(right + n * L<T>);
#pragma GCC unroll 16
            for (long m = 0; m < M; m++)
#pragma GCC unroll 16
                for (long n = 0; n < N; n++)
                    total[m][n] += left[ACROSS ? k * factor.left_stride + m : m * factor.left_stride + k] * vectors[n];
        }
    }
#pragma GCC unroll 16
    for (long m = 0; m < M; m++)
#pragma GCC unroll 16
        for (long n = 0; n < N; n++) store(out + (row + m) * out_stride + column + n * L<T>, total[m][n]);
}

// The same for all rows: blocks of TALL, then one of what is left.
template <class T, long M, long N, bool ACROSS, size_t FACTORS>
void blocks(long row, long rows, const T* const* begin, long column, const Factor<T> (&factors)[FACTORS], T* out,
            long out_stride) {
    for (; row + M <= rows; row += M) block<T, M, N, ACROSS>(begin, column, factors, row, out, out_stride);
    if constexpr (M > 1)
        if (row < rows) blocks<T, M - 1, N, ACROSS>(row, rows, begin, column, factors, out, out_stride);
}

// The same for one panel, of which `columns` are in use; the result is written up to a whole vector.
template <class T, bool ACROSS, size_t FACTORS>
void panel_product(long rows, long columns, const T* const* begin, long column, const Factor<T> (&factors)[FACTORS],
                   T* out, long out_stride) {
    if (columns > L<T>) blocks<T, TALL, 2, ACROSS>(0, rows, begin, column, factors, out, out_stride);
    else blocks<T, TALL, 1, ACROSS>(0, rows, begin, column, factors, out, out_stride);
}

template <class T, size_t FACTORS>
void product(long rows, long columns, const T* const* begin, Factor<T> (&&factors)[FACTORS], T* out, long out_stride) {
    for (long column = 0; column < columns; column += PANEL<T>) {
        panel_product<T, false>(rows, columns - column, begin, column, factors, out, out_stride);
        for (Factor<T>& factor : factors) factor.right += factor.depth * PANEL<T>;
    }
}

// Pack value(k, column) for `product`.
template <class T, class Value> void pack(long depth, long columns, Value value, T* packed) {
    for (long panel = 0; panel < columns; panel += PANEL<T>)
        for (long k = 0; k < depth; k++)
            for (long column = panel; column < panel + PANEL<T>; column++)
                *packed++ = column < columns ? value(k, column) : T(0);
}

// ---------------------------------------------------------------- one replica

constexpr long ROWS = 32;    // sequences that go forward together
constexpr long CHUNK = 256;  // rows (steps x sequences) that are summed into the weights' gradients at a time

// Ask for n numbers that the next step will read (FOR = 0) or write (1), while this one computes.
template <int FOR, class T> void fetch(const T* from, long n) {
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
    const Problem& p;
    long r, steps = p.time, B = p.batch, H = p.hidden, I = p.channels;
    long columns = Cell::COLUMNS * H, recurrent = Cell::RECURRENT * H;
    const T *weight_ih = of(p.weight_ih, p.strides[0]), *weight_hh = of(p.weight_hh, p.strides[1]);
    const T *bias_ih = of(p.bias_ih, p.strides[2]), *bias_hh = of(p.bias_hh, p.strides[3]);

    Replica(const Problem& p, long r) : p(p), r(r) {}

    // This replica's part of an array; one's part lies `stride` from the next one's.
    T* of(const void* array, long stride) const { return array ? (T*)array + r * stride : nullptr; }
    T* h(long t) const { return of(p.h, (steps + 1) * B * H) + t * B * H; }  // before step t
    T* c(long t) const { return of(p.c, (steps + 1) * B * H) + t * B * H; }
    T* kept(long t) const { return of(p.kept, steps * B * Cell::KEPT * H) + t * B * Cell::KEPT * H; }
    long output(long t) const { return t - steps + p.outputs; }  // the number of step t's output; none if negative
    const T* input(long t, long b) const { return (const T*)p.inputs + r * p.input_stride + (t * B + b) * I; }
    bool tokens() const { return p.token_bytes > 0; }
    long token(long t, long b) const {
        long at = r * p.input_stride + t * B + b;
        return p.token_bytes == 1 ? ((const uint8_t*)p.inputs)[at] : ((const int64_t*)p.inputs)[at];
    }

    // Of the GRU's columns r, z, q, v, the q see the state alone and the v the input alone; the rows of torch.nn's
    // weights are r, z, n, where n serves q in weight_hh and v in weight_ih.
    static constexpr bool SPLIT = Cell::COLUMNS != Cell::RECURRENT;
    long input_row(long column) const { return column < recurrent ? column : column - H; }
    bool only_state(long column) const { return SPLIT && column >= 2 * H && column < recurrent; }
    T input_weight(long i, long column) const {
        return only_state(column) ? T(0) : weight_ih[input_row(column) * I + i];
    }
    T bias(long column) const {
        if (!SPLIT || column < 2 * H) return bias_ih[column] + bias_hh[column];
        return only_state(column) ? bias_hh[column] : bias_ih[input_row(column)];
    }
};

// ---------------------------------------------------------------- forward

template <class Cell, class T> struct ForwardPass : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::steps, Base::B, Base::H, Base::I, Base::columns, Base::recurrent, Base::SPLIT;
    long tables = this->tokens() ? I : 1;
    long first_v = padded<T>(recurrent);                    // where the columns v follow those of U
    long width = SPLIT ? first_v + padded<T>(H) : first_v;  // of a row of a
    T *U, *W, *W_v;                                         // packed
    T *begin;                                               // [tables, width]: b, or b + W x for each token
    T *a, *ring_h, *ring_c, *ring_kept;                     // of ROWS sequences; the rings serve where none are kept
    const T* begins[ROWS];

    ForwardPass(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r) {
        U = scratch.take(H * wide<T>(recurrent));
        W = scratch.take(I * wide<T>(recurrent));
        W_v = scratch.take(SPLIT ? I * wide<T>(H) : 0);
        begin = scratch.take(tables * width);
        a = scratch.take(ROWS * width);
        ring_h = scratch.take(2 * ROWS * H), ring_c = scratch.take(2 * ROWS * H);
        ring_kept = scratch.take(ROWS * Cell::KEPT * H);
    }

    void run() {
        pack<T>(H, recurrent, [&](long k, long column) { return this->weight_hh[column * H + k]; }, U);
        pack<T>(I, recurrent, [&](long i, long column) { return this->input_weight(i, column); }, W);
        if (SPLIT) pack<T>(I, H, [&](long i, long j) { return this->input_weight(i, recurrent + j); }, W_v);
        std::memset(begin, 0, tables * width * sizeof(T));
        for (long i = 0; i < tables; i++)
            for (long column = 0; column < columns; column++)
                begin[i * width + (column < recurrent ? column : first_v + column - recurrent)] =
                    this->bias(column) + (this->tokens() ? this->input_weight(i, column) : T(0));
        for (long b = 0; b < B; b += ROWS) sequences(b, std::min(ROWS, B - b));
    }

    // `rows` sequences from number b on, through all steps.
    void sequences(long b, long rows) {
        T *h = state(p.h, ring_h, 0, b), *c = state(p.c, ring_c, 0, b);
        std::memset(h, 0, rows * H * sizeof(T));
        if (Cell::PARTS == 2) std::memset(c, 0, rows * H * sizeof(T));
        for (long t = 0; t < steps; t++) {
            T *h_new = state(p.h, ring_h, t + 1, b), *c_new = state(p.c, ring_c, t + 1, b);
            T* kept = p.kept ? this->kept(t) + b * Cell::KEPT * H : ring_kept;
            T* kept_next = p.kept && t + 1 < steps ? this->kept(t + 1) + b * Cell::KEPT * H : ring_kept;
            columns_before(t, b, rows, h);
            for (long i = 0, at = 0; i < rows; i++, at += H) {
                fetch<1>(kept_next + Cell::KEPT * at, Cell::KEPT * H);
                Cell::template forward<T>(
                    H, {a + i * width, h + at, c + at, kept + Cell::KEPT * at, h_new + at, c_new + at});
            }
            h = h_new, c = c_new;
            if (this->output(t) >= 0)
                std::memcpy(out(t) + b * H, h, rows * H * sizeof(T));
        }
    }

    T* out(long t) const { return this->of(p.out, p.outputs * B * H) + this->output(t) * B * H; }

    // Sequence b of a part of the state before step t.
    T* state(void* kept, T* ring, long t, long b) const {
        return kept ? this->of(kept, (steps + 1) * B * H) + (t * B + b) * H : ring + t % 2 * ROWS * H;
    }

    // a = b + W x + U h
    void columns_before(long t, long b, long rows, const T* h) {
        for (long i = 0; i < rows; i++) begins[i] = begin + (this->tokens() ? this->token(t, b + i) * width : 0);
        const T* x = this->input(t, b);
        long depth = this->tokens() ? 0 : I;
        product<T, 2>(rows, recurrent, begins, {{x, I, W, depth}, {h, H, U, H}}, a, width);
        if (!SPLIT) return;
        for (long i = 0; i < rows; i++) begins[i] += first_v;
        product<T, 1>(rows, H, begins, {{x, I, W_v, depth}}, a + first_v, width);
    }
};

// ---------------------------------------------------------------- backward

template <class Cell, class T> struct BackwardPass : Replica<Cell, T> {
    using Base = Replica<Cell, T>;
    using Base::p, Base::r, Base::steps, Base::B, Base::H, Base::I, Base::columns, Base::recurrent, Base::SPLIT;
    using Limits = std::numeric_limits<T>;
    static constexpr double FAR = 40;  // |log2 of the norm of g| from which on g is rescaled
    static constexpr long EXACT = Limits::max_exponent - 3;  // 2^EXACT and 2^-EXACT are exact

    long h_width = padded<T>(H);                            // of a row of dL/dh
    long width = (padded<T>(columns) / L<T> | 1) * L<T>;    // of a row of A: odd, so that rows fall in all cache sets
    long chunk = std::max(1L, std::min(steps, CHUNK / B));  // steps
    T *U, *dh, *dc, *dc_full, *direct;                      // U packed; rows of dL/d(state), see Backward
    T *A, *x, *sums;              // A and [x, 1] of a chunk; [H + I + 1, width]: dL/dU', dL/dW', dL/db
    std::vector<const T*> begins;
    std::vector<long> exponents;  // e of each step of the chunk
    long e = 0;                   // dL/d(state) = 2^e g
    bool empty = true;            // no output has been reached yet: g is zero

    BackwardPass(const Problem& p, long r, Scratch<T>& scratch) : Base(p, r) {
        U = scratch.take(recurrent * wide<T>(H));
        dh = scratch.take(B * h_width), dc = scratch.take(B * h_width);
        dc_full = scratch.take(B * h_width), direct = scratch.take(B * h_width);
        A = scratch.take(chunk * B * width);
        x = scratch.take(chunk * B * (I + 1));
        sums = scratch.take((H + I + 1) * width);
    }

    void run() {
        pack<T>(recurrent, H, [&](long column, long k) { return this->weight_hh[column * H + k]; }, U);
        for (T* part : {dh, dc, direct}) std::memset(part, 0, B * h_width * sizeof(T));
        std::memset(sums, 0, (H + I + 1) * width * sizeof(T));
        begins.resize(std::max({B, H, I + 1}));
        exponents.resize(chunk);
        for (long end = steps; end > 0; end = (end - 1) / chunk * chunk) {
            long first = (end - 1) / chunk * chunk;
            for (long t = end - 1; t >= first; t--) {
                if (this->output(t) >= 0) inject(this->of(p.upstream, p.outputs * B * H) + this->output(t) * B * H);
                exponents[t - first] = e;
                step(t, A + (t - first) * B * width);
            }
            sum_weights(first, end);
        }
        write_weights();
    }

    // One step back: A_t, the norms, and dh and dc before the step.
    void step(long t, T* A_t) {
        if (p.errors) trace(t);
        V<T> squares_h{}, squares_c{};
        for (long b = 0, at = 0, wide_at = 0; b < B; b++, at += H, wide_at += h_width) {
            if (t > 0) {
                fetch<0>(this->kept(t - 1) + Cell::KEPT * at, Cell::KEPT * H);
                fetch<0>(this->h(t - 1) + at, H);
                if (Cell::PARTS == 2) fetch<0>(this->c(t - 1) + at, H);
            }
            Cell::template backward<T>(H, {dh + wide_at, dc + wide_at, this->kept(t) + Cell::KEPT * at, this->h(t) + at,
                                           this->c(t) + at, this->h(t + 1) + at, this->c(t + 1) + at, A_t + b * width,
                                           direct + wide_at, dc_full + wide_at, dc + wide_at, &squares_h, &squares_c});
        }
        double largest = p.norms_h ? note(t, sum<T>(squares_h), Cell::PARTS == 2 ? sum<T>(squares_c) : 0) : 0;
        for (long b = 0; b < B; b++) begins[b] = direct + b * h_width;
        product<T, 1>(B, H, begins.data(), {{A_t, width, U, recurrent}}, dh, h_width);
        if (std::isfinite(largest) && std::abs(largest) > FAR) rescale(std::lround(largest));
    }

    // Write h and dL/dh after step t.
    void trace(long t) {
        T *states = this->of(p.states, steps * B * H) + t * B * H, *errors = this->of(p.errors, steps * B * H) + t * B * H;
        long exponent = std::max(-2 * EXACT, std::min(2 * EXACT, e));
        T half = std::ldexp(T(1), exponent / 2), other = std::ldexp(T(1), exponent - exponent / 2);
        std::memcpy(states, this->h(t + 1), B * H * sizeof(T));
        for (long b = 0; b < B; b++)
            for (long j = 0; j < H; j++) errors[b * H + j] = dh[b * h_width + j] * half * other;
    }

    // Write the norms of dL/d(state after step t); log2 of the largest at the present scale.
    double note(long t, double squares_h, double squares_c) {
        double largest = log2_norm(squares_h, dh, h_width);
        write_norm(0, t, largest);
        if (Cell::PARTS == 1) return largest;
        double of_c = log2_norm(squares_c, dc_full, h_width);
        write_norm(1, t, of_c);
        return std::max(largest, of_c);
    }

    void write_norm(long part, long t, double log2) {
        this->of(part ? p.norms_c : p.norms_h, steps)[t] = log2 == -INFINITY ? p.floor : log2 + e;
    }

    // log2 of the norm of B rows whose squares have this sum; where the squares left the range, from the rows.
    double log2_norm(double squares, const T* rows, long stride) const {
        double log2 = std::log2(squares), largest = 0, total = 0;
        if (std::abs(log2) < Limits::max_exponent * .8) return log2 / 2;
        for (long b = 0; b < B; b++)
            for (long j = 0; j < H; j++) largest = std::max(largest, (double)std::abs(rows[b * stride + j]));
        for (long b = 0; b < B; b++)
            for (long j = 0; j < H; j++) total += std::pow(rows[b * stride + j] / largest, 2);
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
        for (long i = 0; i < B * h_width; i++) dh[i] *= factor, dc[i] *= factor;
    }

    // Add the gradient that the loss sends to this step's output.
    void inject(const T* rows) {
        T factor = 1;
        if (p.norms_h) {
            double log2 = log2_norm(squares(rows), rows, H);
            if (log2 == -INFINITY) return;
            long wanted = std::isfinite(log2) && std::abs(log2) > FAR ? std::min(EXACT, std::lround(log2)) : 0;
            if (empty || log2 - e > FAR || e < -EXACT) multiply(e - wanted), e = wanted;
            empty = false;
            factor = std::ldexp(T(1), -e);
        }
        for (long b = 0; b < B; b++)
            for (long j = 0; j < H; j++) dh[b * h_width + j] += rows[b * H + j] * factor;
    }

    double squares(const T* rows) const {
        V<T> total{};
        for (long b = 0; b < B; b++)
            units<T>(H, [&](long j, auto n) { V<T> g = load(rows + b * H + j, n); total += g * g; });
        return sum<T>(total);
    }

    // Add [h, x, 1]' A of the steps from `first` to `end` to the sums.
    void sum_weights(long first, long end) {
        long rows = (end - first) * B;
        bool vanished = true;  // A is zero at its true scale, as it is in a pass without rescaling
        for (long t = first; t < end; t++) vanished &= exponents[t - first] < Limits::min_exponent - 64;
        if (vanished) return;
        for (long t = first; t < end; t++) restore_scale(A + (t - first) * B * width, exponents[t - first]);
        if (!this->tokens()) copy_inputs(this->input(first, 0), rows);
        for (long column = 0; column < columns; column += PANEL<T>) {
            if (column < recurrent) add(H, 0, this->h(first), rows, column);
            if (this->tokens()) add_tokens(first, rows, column);
            else add(I + 1, H, x, rows, column);
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
    void add(long n, long row, const T* left, long rows, long column) {
        for (long k = 0; k < n; k++) begins[k] = sums + (row + k) * width;
        const Factor<T> factors[] = {{left, n, A + column, rows, width}};
        panel_product<T, true>(n, columns - column, begins.data(), column, factors, sums + row * width, width);
    }

    void add_tokens(long first, long rows, long column) {
        for (long i = 0; i < rows; i++) {
            T* to = sums + (H + this->token(first, i)) * width + column;
            for (long j = 0; j < std::min(PANEL<T>, columns - column); j += L<T>)
                store(to + j, load(to + j) + load(A + i * width + column + j));
        }
    }

    void write_weights() {
        T *ih = this->of(p.d_weight_ih, p.d_strides[0]), *hh = this->of(p.d_weight_hh, p.d_strides[1]);
        T *b_ih = this->of(p.d_bias_ih, p.d_strides[2]), *b_hh = this->of(p.d_bias_hh, p.d_strides[3]);
        for (long i = 0; i < I && this->tokens(); i++)  // each sequence has one token
            for (long g = 0; g < columns; g++) sums[(H + I) * width + g] += sums[(H + i) * width + g];
        for (long g = 0; g < recurrent; g++) {
            long of_input = this->only_state(g) ? g + H : g;
            for (long k = 0; k < H; k++) hh[g * H + k] = sums[k * width + g];
            for (long i = 0; i < I; i++) ih[g * I + i] = sums[(H + i) * width + of_input];
            b_ih[g] = sums[(H + I) * width + of_input], b_hh[g] = sums[(H + I) * width + g];
        }
    }
};

// ---------------------------------------------------------------- threads

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

// Run all replicas. Plain threads, started for this call: they wait without spinning and survive a fork.
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
    std::vector<std::thread> others;
    try {
        for (long i = 1; i < std::min(p.threads, p.replicas); i++) others.emplace_back(work, i);
    } catch (const std::system_error&) {  // no more threads to be had: those that there are do it
    }
    work(0);
    for (std::thread& thread : others) thread.join();
}

template <class T> long scratch_size(const Problem& p) {
    return p.cell == 0 ? scratch_size<RNN, T>(p) : p.cell == 1 ? scratch_size<GRU, T>(p) : scratch_size<LSTM, T>(p);
}
template <template <class, class> class Pass, class T> void run(const Problem& p) {
    p.cell == 0 ? run<Pass, RNN, T>(p) : p.cell == 1 ? run<Pass, GRU, T>(p) : run<Pass, LSTM, T>(p);
}

}  // namespace

// Cells are numbered RNN, GRU, LSTM. Scratch memory is counted in numbers, for each thread.
extern "C" {
long scratch_float32(const Problem* p) { return scratch_size<float>(*p); }
long scratch_float64(const Problem* p) { return scratch_size<double>(*p); }
void forward_float32(const Problem* p) { run<ForwardPass, float>(*p); }
void forward_float64(const Problem* p) { run<ForwardPass, double>(*p); }
void backward_float32(const Problem* p) { run<BackwardPass, float>(*p); }
void backward_float64(const Problem* p) { run<BackwardPass, double>(*p); }
}
