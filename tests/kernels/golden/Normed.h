#include "activations.h"
#include "problem.h"

struct Cell {
    static constexpr int STAGES = 1, BACK_STAGES = 1;
    static constexpr Size KEPT{1, 1}, COLUMNS{3, 0}, CARRIED{2, 0};
    static constexpr std::array<Size, 1> PARTS = {{{1, 0}}};
    static constexpr std::array<bool, 1> FULL = {{false}};
    static constexpr std::array<Source, 2> SOURCES = {{{From::INPUT, 0, {0, 0}, {0, 0}}, {From::STATE, 0, {0, 0}, {1, 0}}}};
    static constexpr std::array<Panel, 1> PANELS = {{{0, {0, 0}, {1, 0}}}};
    static constexpr std::array<Term, 2> TERMS = {{{0, 0, 0, -1, {0, 0}, {0, 0}, {1, 0}}, {0, 1, 1, 0, {0, 0}, {0, 0}, {1, 0}}}};
    static constexpr std::array<Added, 2> ADDED = {{{-1, 2, {1, 0}, {0, 0}, {1, 0}, false}, {-1, 3, {2, 0}, {0, 0}, {1, 0}, false}}};
    static constexpr std::array<Vector, 2> VECTORS = {{{2, {0, 0}, {1, 0}}, {3, {0, 0}, {1, 0}}}};
    static constexpr std::array<Target, 1> TARGETS = {{{0, {1, 0}, true}}};
    
    template <int STAGE, class T> static void forward_0(const Forward<T>& s) {
        [[maybe_unused]] long H = s.H;
        V<T> v1{};
        units<T>(H, [&](long j, auto n) {
            V<T> v2 = load(s.a + s.start[0] + j, n);
            v1 += only<T>(v2, n);
        });
        V<T> v3 = all<T>(sum<T>(v1));
        auto v5 = v3 * all<T>(T(0.125));
        V<T> v7{};
        units<T>(H, [&](long j, auto n) {
            V<T> v4 = load(s.a + s.start[0] + j, n);
            V<T> v6 = v4 - v5;
            store(s.kept + j, v6, n);
            V<T> v8 = v6 * v6;
            v7 += only<T>(v8, n);
        });
        V<T> v9 = all<T>(sum<T>(v7));
        auto v10 = v9 * all<T>(T(0.125));
        auto v11 = v10 + all<T>(T(0.001));
        auto v12 = T(1) / each<T>(v11, [](T x) { return std::sqrt(x); });
        *(s.kept + H) = v12[0];
        units<T>(H, [&](long j, auto n) {
            V<T> v13 = load(s.kept + j, n);
            V<T> v14 = v13 * v12;
            V<T> v15 = load(s.vectors[0] + j, n);
            V<T> v16 = v14 * v15;
            V<T> v17 = load(s.vectors[1] + j, n);
            V<T> v18 = v16 + v17;
            V<T> v19 = tanh<T>(v18);
            store(s.after[0] + j, v19, n);
        });
    }
    template <int STAGE, class T> static void forward(const Forward<T>& s) {
        if constexpr (STAGE == 0) forward_0<STAGE, T>(s);
    }
    template <int STAGE, class T> static void backward_0(const Backward<T>& s) {
        [[maybe_unused]] long H = s.H;
        auto v5 = all<T>(*(s.kept + H));
        V<T> v11{};
        V<T> squares0{};
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.d[0] + j, n);
            squares0 += only<T>(v1 * v1, n);
            V<T> v2 = load(s.after[0] + j, n);
            V<T> v3 = v1 * (T(1) - v2 * v2);
            V<T> v4 = load(s.kept + j, n);
            V<T> v6 = v4 * v5;
            V<T> v7 = v3 * v6;
            store(s.A + H + j, v7, n);
            store(s.A + 2 * H + j, v3, n);
            V<T> v8 = load(s.vectors[0] + j, n);
            V<T> v9 = v3 * v8;
            V<T> v10 = v9 * v5;
            store(s.carried + j, v10, n);
            V<T> v12 = v9 * v4;
            v11 += only<T>(v12, n);
        });
        s.squares[0] += squares0;
        V<T> v13 = all<T>(sum<T>(v11));
        auto v15 = v13 * all<T>(T(-0.5));
        auto v16 = v5 * v5;
        auto v17 = v16 * v5;
        auto v18 = v15 * v17;
        auto v19 = v18 / all<T>(T(8.0));
        V<T> v24{};
        units<T>(H, [&](long j, auto n) {
            V<T> v14 = load(s.carried + j, n);
            V<T> v20 = load(s.kept + j, n);
            V<T> v21 = v19 * v20;
            V<T> v22 = v14 + v21;
            V<T> v23 = v22 + v21;
            store(s.carried + H + j, v23, n);
            V<T> v25 = -v23;
            v24 += only<T>(v25, n);
        });
        V<T> v26 = all<T>(sum<T>(v24));
        auto v28 = v26 / all<T>(T(8.0));
        units<T>(H, [&](long j, auto n) {
            V<T> v27 = load(s.carried + H + j, n);
            V<T> v29 = v27 + v28;
            store(s.A + j, v29, n);
        });
    }
    template <int STAGE, class T> static void backward(const Backward<T>& s) {
        if constexpr (STAGE == 0) backward_0<STAGE, T>(s);
    }
};
