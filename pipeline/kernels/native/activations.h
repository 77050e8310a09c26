// Functions of a vector, exact to a few units in the last place.

#pragma once

#include <cmath>
#include <limits>

#include "simd.h"

namespace {

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

// e^x; zero below, infinite above the normal numbers
template <class T> inline V<T> exp(V<T> x) {
    constexpr T largest = sizeof(T) == 4 ? T(88.72283) : T(709.782712893384);
    V<T> power, m;
    exponential<T>(clamp(x, Exponential<T>::LARGEST), power, m);
    V<T> found = power * m + power;
    V<T> rest = x - Exponential<T>::LARGEST;  // a second factor where the first one stops
    exponential<T>(clamp(rest, T(2)), power, m);
    found = rest > T(0) ? found * (power * m + power) : found;
    found = x > largest ? all<T>(std::numeric_limits<T>::infinity()) : found;
    return x < -Exponential<T>::LARGEST ? V<T>{} : found;
}

// f of each lane
template <class T, class F> inline V<T> each(V<T> x, F f) {
    for (long i = 0; i < L<T>; i++) x[i] = f(x[i]);
    return x;
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

// ln x = k ln 2 + ln(1 + f), x = 2^k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2); s = f / (2 + f), and
// ln(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), R by a polynomial (fdlibm, e_log.c). Numbers below the normal ones are zero.
template <class T> inline V<T> log(V<T> x) {
    using Int = typename Simd<T>::Int;
    typedef Int Bits __attribute__((vector_size(WIDTH)));
    using E = Exponential<T>;
    constexpr T R[] = {T(1.479819860511658591e-01), T(1.531383769920937332e-01), T(1.818357216161805012e-01),
                       T(2.222219843214978396e-01), T(2.857142874366239149e-01), T(3.999999999940941908e-01),
                       T(6.666666666666735130e-01)};
    constexpr T ROOT = T(1.41421356237309505);
    constexpr T LOW = T(sizeof(T) == 4 ? 9.0580006145e-06 : 1.90821492927058770002e-10);
    constexpr T HIGH = T(sizeof(T) == 4 ? 6.9313812256e-01 : 6.93147180369123816490e-01);  // k times it is exact
    Bits bits = (Bits)x, exponents = (bits >> E::MANTISSA) - (E::ONE >> E::MANTISSA);
    V<T> m = (V<T>)((bits & ((Int(1) << E::MANTISSA) - 1)) | E::ONE);
    V<T> k = __builtin_convertvector(exponents, V<T>);
    k = m > ROOT ? k + T(1) : k;
    V<T> f = (m > ROOT ? m * T(0.5) : m) - T(1), s = f / (f + T(2)), z = s * s, half = T(0.5) * f * f;
    V<T> r = all<T>(R[0]);
    for (int i = 1; i < 7; i++) r = r * z + R[i];
    V<T> found = k * HIGH - ((half - (s * (half + r * z) + k * LOW)) - f);
    constexpr T infinity = std::numeric_limits<T>::infinity();
    found = x < std::numeric_limits<T>::min() ? all<T>(-infinity) : found;
    found = x < T(0) ? all<T>(std::numeric_limits<T>::quiet_NaN()) : found;
    return (x == infinity) | (x != x) ? x : found;
}

// ln(1 + x): what rounding takes from u = 1 + x is added again, over u
template <class T> inline V<T> log1p(V<T> x) {
    V<T> u = x + T(1);
    V<T> found = log<T>(u) + (x - (u - T(1))) / u;
    return (u == T(0)) | (x == std::numeric_limits<T>::infinity()) ? log<T>(u) : found;
}

}  // namespace
