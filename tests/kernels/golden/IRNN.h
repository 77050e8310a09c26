#include "activations.h"
#include "problem.h"

struct Cell {
    static constexpr int STAGES = 1, BACK_STAGES = 1;
    static constexpr Size KEPT{0, 0}, COLUMNS{1, 0}, CARRIED{0, 0};
    static constexpr std::array<Size, 1> PARTS = {{{1, 0}}};
    static constexpr std::array<bool, 1> FULL = {{false}};
    static constexpr std::array<Source, 2> SOURCES = {{{From::INPUT, 0, {0, 0}, {0, 0}}, {From::STATE, 0, {0, 0}, {1, 0}}}};
    static constexpr std::array<Panel, 1> PANELS = {{{0, {0, 0}, {1, 0}}}};
    static constexpr std::array<Term, 2> TERMS = {{{0, 0, 0, -1, {0, 0}, {0, 0}, {1, 0}}, {0, 1, 1, 0, {0, 0}, {0, 0}, {1, 0}}}};
    static constexpr std::array<Added, 1> ADDED = {{{0, 2, {0, 0}, {0, 0}, {1, 0}, false}}};
    static constexpr std::array<Vector, 0> VECTORS = {};
    static constexpr std::array<Target, 1> TARGETS = {{{0, {1, 0}, true}}};
    
    template <int STAGE, class T> static void forward_0(const Forward<T>& s) {
        [[maybe_unused]] long H = s.H;
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.a + s.start[0] + j, n);
            V<T> v2 = (v1 < T(0) ? V<T>{} : v1);
            store(s.after[0] + j, v2, n);
        });
    }
    template <int STAGE, class T> static void forward(const Forward<T>& s) {
        if constexpr (STAGE == 0) forward_0<STAGE, T>(s);
    }
    template <int STAGE, class T> static void backward_0(const Backward<T>& s) {
        [[maybe_unused]] long H = s.H;
        V<T> squares0{};
        units<T>(H, [&](long j, auto n) {
            V<T> v1 = load(s.d[0] + j, n);
            squares0 += only<T>(v1 * v1, n);
            V<T> v2 = load(s.after[0] + j, n);
            auto v3 = (v2 <= all<T>(T(0.0)));
            V<T> v4 = (v3 ? all<T>(T(0.0)) : v1);
            store(s.A + j, v4, n);
        });
        s.squares[0] += squares0;
    }
    template <int STAGE, class T> static void backward(const Backward<T>& s) {
        if constexpr (STAGE == 0) backward_0<STAGE, T>(s);
    }
};
