// The tanh RNN, GRU and LSTM written by hand; letters as in cells/*.py, gates in torch.nn's order.

#pragma once

#include "activations.h"
#include "problem.h"

namespace {

enum { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH };
constexpr Size NONE{0}, H1{1}, H2{2}, H3{3}, H4{4};
constexpr std::array<Source, 2> INPUT_AND_STATE = {{{INPUT, 0, NONE, NONE}, {STATE, 0, NONE, H1}}};

// h' = tanh(a); A = g (1 - h'^2)
struct RNN {
    static constexpr int STAGES = 1, BACK_STAGES = 1;
    static constexpr Size KEPT{0}, COLUMNS{1}, CARRIED{0};
    static constexpr std::array<Size, 1> PARTS = {{H1}};
    static constexpr std::array<bool, 1> FULL = {{false}};
    static constexpr std::array<Source, 2> SOURCES = INPUT_AND_STATE;
    static constexpr std::array<Panel, 1> PANELS = {{{0, NONE, H1}}};
    static constexpr std::array<Term, 2> TERMS = {
        {{0, 0, WEIGHT_IH, -1, NONE, NONE, H1}, {0, 1, WEIGHT_HH, 0, NONE, NONE, H1}}};
    static constexpr std::array<Added, 2> ADDED = {{{0, BIAS_IH, NONE, NONE, H1}, {0, BIAS_HH, NONE, NONE, H1}}};
    static constexpr std::array<Vector, 0> VECTORS = {};
    static constexpr std::array<Target, 1> TARGETS = {{{0, H1, true}}};

    template <int, class T> static void forward(const Forward<T>& s) {
        units<T>(s.H, [&](long j, auto n) { store(s.after[0] + j, tanh<T>(load(s.a + j, n)), n); });
    }
    template <int, class T> static void backward(const Backward<T>& s) {
        V<T> squares{};
        units<T>(s.H, [&](long j, auto n) {
            V<T> g = load(s.d[0] + j, n), h = load(s.after[0] + j, n);
            squares += g * g;
            store(s.A + j, g * (T(1) - h * h), n);
        });
        s.squares[0] += squares;
    }
};

// r, z = sigmoid(a_r, a_z);  q = Q h + e;  n = tanh(v + r q);  h' = n + z (h - n); columns and kept: r, z, q, v or n
//     A_v = g (1 - z) (1 - n^2);  A_q = A_v r;  A_r = A_v q r (1 - r);  A_z = g (h - n) z (1 - z)
//     directly to h: g z
// The columns q see the state alone, and v the input alone.
struct GRU {
    static constexpr int STAGES = 1, BACK_STAGES = 1;
    static constexpr Size KEPT{4}, COLUMNS{4}, CARRIED{0};
    static constexpr std::array<Size, 1> PARTS = {{H1}};
    static constexpr std::array<bool, 1> FULL = {{false}};
    static constexpr std::array<Source, 2> SOURCES = INPUT_AND_STATE;
    static constexpr std::array<Panel, 2> PANELS = {{{0, NONE, H3}, {0, H3, H1}}};
    static constexpr std::array<Term, 3> TERMS = {{{0, 0, WEIGHT_IH, -1, NONE, NONE, H2},
                                                   {0, 1, WEIGHT_HH, 0, NONE, NONE, H3},
                                                   {1, 0, WEIGHT_IH, -1, H3, H2, H1}}};
    static constexpr std::array<Added, 3> ADDED = {
        {{0, BIAS_IH, NONE, NONE, H2}, {0, BIAS_HH, NONE, NONE, H3}, {1, BIAS_IH, H3, H2, H1}}};
    static constexpr std::array<Vector, 0> VECTORS = {};
    static constexpr std::array<Target, 1> TARGETS = {{{0, H1, true}}};

    template <int, class T> static void forward(const Forward<T>& s) {
        long H = s.H;
        const T *a = s.a, *v = s.a + s.start[1], *before = s.before[0];
        T *after = s.after[0], *kept = s.kept;
        units<T>(H, [&](long j, auto n) {
            V<T> r = sigmoid<T>(load(a + j, n)), z = sigmoid<T>(load(a + H + j, n)), q = load(a + 2 * H + j, n);
            V<T> proposal = tanh<T>(load(v + j, n) + r * q);
            store(after + j, proposal + z * (load(before + j, n) - proposal), n);
            store(kept + j, r, n), store(kept + H + j, z, n);
            store(kept + 2 * H + j, q, n), store(kept + 3 * H + j, proposal, n);
        });
    }
    template <int, class T> static void backward(const Backward<T>& s) {
        long H = s.H;
        const T *d = s.d[0], *before = s.before[0], *kept = s.kept;
        T *A = s.A, *to_h = s.direct[0];
        V<T> squares{};
        units<T>(H, [&](long j, auto n) {
            V<T> g = load(d + j, n), h = load(before + j, n);
            V<T> r = load(kept + j, n), z = load(kept + H + j, n);
            V<T> q = load(kept + 2 * H + j, n), proposal = load(kept + 3 * H + j, n);
            V<T> direct = g * z;
            V<T> A_v = (g - direct) * (T(1) - proposal * proposal), A_q = A_v * r;
            squares += g * g;
            store(to_h + j, direct, n);
            store(A + j, A_q * q * (T(1) - r), n), store(A + H + j, direct * (h - proposal) * (T(1) - z), n);
            store(A + 2 * H + j, A_q, n), store(A + 3 * H + j, A_v, n);
        });
        s.squares[0] += squares;
    }
};

// i, f, o = sigmoid(a);  g = tanh(a_g);  c' = f c + i g;  h' = o tanh(c'); columns and kept: i, f, g, o
//     A_o = k tanh(c') o (1 - o)  with k = dL/dh';   C = dL/dc' = (that from the next step) + k o (1 - tanh^2 c')
//     A_i = C g i (1 - i);  A_f = C c f (1 - f);  A_g = C i (1 - g^2);  directly to c: C f
struct LSTM {
    static constexpr int STAGES = 1, BACK_STAGES = 1;
    static constexpr Size KEPT{4}, COLUMNS{4}, CARRIED{0};
    static constexpr std::array<Size, 2> PARTS = {{H1, H1}};
    static constexpr std::array<bool, 2> FULL = {{false, true}};
    static constexpr std::array<Source, 2> SOURCES = INPUT_AND_STATE;
    static constexpr std::array<Panel, 1> PANELS = {{{0, NONE, H4}}};
    static constexpr std::array<Term, 2> TERMS = {
        {{0, 0, WEIGHT_IH, -1, NONE, NONE, H4}, {0, 1, WEIGHT_HH, 0, NONE, NONE, H4}}};
    static constexpr std::array<Added, 2> ADDED = {{{0, BIAS_IH, NONE, NONE, H4}, {0, BIAS_HH, NONE, NONE, H4}}};
    static constexpr std::array<Vector, 0> VECTORS = {};
    static constexpr std::array<Target, 2> TARGETS = {{{0, H1, true}, {0, H1, false}}};

    template <int, class T> static void forward(const Forward<T>& s) {
        long H = s.H;
        const T *a = s.a, *before = s.before[1];
        T *h_new = s.after[0], *c_new = s.after[1], *kept = s.kept;
        units<T>(H, [&](long j, auto n) {
            V<T> i = sigmoid<T>(load(a + j, n)), f = sigmoid<T>(load(a + H + j, n));
            V<T> g = tanh<T>(load(a + 2 * H + j, n)), o = sigmoid<T>(load(a + 3 * H + j, n));
            V<T> c = f * load(before + j, n) + i * g;
            store(c_new + j, c, n), store(h_new + j, o * tanh<T>(c), n);
            store(kept + j, i, n), store(kept + H + j, f, n);
            store(kept + 2 * H + j, g, n), store(kept + 3 * H + j, o, n);
        });
    }
    template <int, class T> static void backward(const Backward<T>& s) {
        long H = s.H;
        const T *dh = s.d[0], *dc = s.d[1], *before = s.before[1], *after = s.after[1], *kept = s.kept;
        T *A = s.A, *dc_full = s.full[1], *dc_old = s.direct[1];
        V<T> squares_h{}, squares_c{};
        units<T>(H, [&](long j, auto n) {
            V<T> i = load(kept + j, n), f = load(kept + H + j, n);
            V<T> g = load(kept + 2 * H + j, n), o = load(kept + 3 * H + j, n);
            V<T> k = load(dh + j, n), c = load(before + j, n), tanh_c = tanh<T>(load(after + j, n));
            V<T> k_o = k * o;
            V<T> C = load(dc + j, n) + k_o * (T(1) - tanh_c * tanh_c), C_i = C * i, C_f = C * f;
            squares_h += k * k, squares_c += C * C;
            store(dc_full + j, C, n), store(dc_old + j, C_f, n);
            store(A + j, C_i * g * (T(1) - i), n), store(A + H + j, C_f * c * (T(1) - f), n);
            store(A + 2 * H + j, C_i * (T(1) - g * g), n), store(A + 3 * H + j, k_o * tanh_c * (T(1) - o), n);
        });
        s.squares[0] += squares_h, s.squares[1] += squares_c;
    }
};

}  // namespace
