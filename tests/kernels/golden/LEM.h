#include "activations.h"
#include "problem.h"

struct Cell {
    static constexpr int STAGES = 2, BACK_STAGES = 2;
    static constexpr Size KEPT{4, 0}, COLUMNS{4, 0}, CARRIED{1, 0};
    static constexpr std::array<Size, 2> PARTS = {{{1, 0}, {1, 0}}};
    static constexpr std::array<bool, 2> FULL = {{false, true}};
    static constexpr std::array<Source, 3> SOURCES = {{{From::INPUT, 0, {0, 0}, {0, 0}}, {From::STATE, 0, {0, 0}, {1, 0}}, {From::NEW, 1, {0, 0}, {1, 0}}}};
    static constexpr std::array<Panel, 2> PANELS = {{{0, {0, 0}, {3, 0}}, {1, {3, 0}, {1, 0}}}};
    static constexpr std::array<Term, 4> TERMS = {{{0, 0, 0, -1, {0, 0}, {0, 0}, {3, 0}}, {0, 1, 1, 0, {0, 0}, {0, 0}, {3, 0}}, {1, 2, 3, 2, {3, 0}, {0, 0}, {1, 0}}, {1, 0, 4, -1, {3, 0}, {0, 0}, {1, 0}}}};
    static constexpr std::array<Added, 4> ADDED = {{{0, 2, {0, 0}, {0, 0}, {1, 0}, false}, {0, 2, {1, 0}, {1, 0}, {1, 0}, false}, {0, 2, {2, 0}, {2, 0}, {1, 0}, false}, {1, 5, {3, 0}, {0, 0}, {1, 0}, false}}};
    static constexpr std::array<Vector, 0> VECTORS = {};
    static constexpr std::array<Target, 3> TARGETS = {{{1, {1, 0}, true}, {1, {1, 0}, false}, {0, {1, 0}, true}}};
    
    template <int STAGE, class T> static void forward_0(const Forward<T>& s) {
        [[maybe_unused]] long H = s.H;
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.a + s.start[0] + j, n);
            V<T> v2 = sigmoid<T>(v1);
            V<T> v3 = all<T>(T(1.0)) - v2;
            V<T> v4 = load(s.before[1] + j, n);
            V<T> v5 = v3 * v4;
            V<T> v6 = load(s.a + s.start[0] + 2 * H + j, n);
            V<T> v7 = tanh<T>(v6);
            V<T> v8 = v2 * v7;
            V<T> v9 = v5 + v8;
            store(s.after[1] + j, v9, n);
            V<T> v10 = load(s.a + s.start[0] + H + j, n);
            V<T> v11 = sigmoid<T>(v10);
            store(s.kept + j, v11, n);
            store(s.kept + H + j, v2, n);
            store(s.kept + 2 * H + j, v7, n);
            V<T> v12 = all<T>(T(1.0)) - v11;
            V<T> v13 = load(s.before[0] + j, n);
            V<T> v14 = v12 * v13;
            store(s.carried + j, v14, n);
        });
    }
    template <int STAGE, class T> static void forward_1(const Forward<T>& s) {
        [[maybe_unused]] long H = s.H;
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.carried + j, n);
            V<T> v2 = load(s.kept + j, n);
            V<T> v3 = load(s.a + s.start[1] + j, n);
            V<T> v4 = tanh<T>(v3);
            V<T> v5 = v2 * v4;
            V<T> v6 = v1 + v5;
            store(s.after[0] + j, v6, n);
            store(s.kept + 3 * H + j, v4, n);
        });
    }
    template <int STAGE, class T> static void forward(const Forward<T>& s) {
        if constexpr (STAGE == 0) forward_0<STAGE, T>(s); else if constexpr (STAGE == 1) forward_1<STAGE, T>(s);
    }
    template <int STAGE, class T> static void backward_0(const Backward<T>& s) {
        [[maybe_unused]] long H = s.H;
        V<T> squares0{};
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.d[0] + j, n);
            squares0 += only<T>(v1 * v1, n);
            V<T> v2 = load(s.kept + 3 * H + j, n);
            V<T> v3 = load(s.before[0] + j, n);
            V<T> v4 = v2 - v3;
            V<T> v5 = v1 * v4;
            V<T> v6 = load(s.kept + j, n);
            V<T> v7 = v5 * (T(1) - v6) * v6;
            store(s.A + H + j, v7, n);
            V<T> v8 = v1 * v6;
            V<T> v9 = v8 * (T(1) - v2 * v2);
            store(s.A + 3 * H + j, v9, n);
            V<T> v10 = all<T>(T(1.0)) - v6;
            V<T> v11 = v1 * v10;
            store(s.direct[0] + j, v11, n);
        });
        s.squares[0] += squares0;
    }
    template <int STAGE, class T> static void backward_1(const Backward<T>& s) {
        [[maybe_unused]] long H = s.H;
        V<T> squares1{};
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.d[1] + j, n);
            V<T> v2 = load(s.products[2] + j, n);
            V<T> v3 = v1 + v2;
            squares1 += only<T>(v3 * v3, n);
            store(s.full[1] + j, v3, n);
            V<T> v4 = load(s.kept + 2 * H + j, n);
            V<T> v5 = load(s.before[1] + j, n);
            V<T> v6 = v4 - v5;
            V<T> v7 = v3 * v6;
            V<T> v8 = load(s.kept + H + j, n);
            V<T> v9 = v7 * (T(1) - v8) * v8;
            store(s.A + j, v9, n);
            V<T> v10 = v3 * v8;
            V<T> v11 = v10 * (T(1) - v4 * v4);
            store(s.A + 2 * H + j, v11, n);
            V<T> v12 = all<T>(T(1.0)) - v8;
            V<T> v13 = v3 * v12;
            store(s.direct[1] + j, v13, n);
        });
        s.squares[1] += squares1;
    }
    template <int STAGE, class T> static void backward(const Backward<T>& s) {
        if constexpr (STAGE == 0) backward_0<STAGE, T>(s); else if constexpr (STAGE == 1) backward_1<STAGE, T>(s);
    }
};
