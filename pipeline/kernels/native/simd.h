// Vectors of numbers: as wide as the processor's, loaded and stored whole or in part.

#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

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

// The first n lanes of x, and `rest` in the others.
template <class T> inline V<T> only(V<T> x, Full<T>, T = 0) { return x; }
template <class T> inline V<T> only(V<T> x, long n, T rest = 0) {
    for (long i = n; i < L<T>; i++) x[i] = rest;
    return x;
}

// The larger of two; NaN if one is.
template <class T> inline V<T> larger(V<T> x, V<T> y) {
    V<T> found = x > y ? x : y;
    return x != x ? x : found;
}

template <class T> inline T highest(V<T> v) {
    T found = v[0];
    for (long i = 1; i < L<T>; i++) found = v[i] > found || v[i] != v[i] ? v[i] : found;
    return found;
}

template <class T> inline T sum(V<T> v) {
    T even = 0, odd = 0;
    for (long i = 0; i < L<T>; i += 2) even += v[i], odd += v[i + 1];
    return even + odd;
}

}  // namespace
