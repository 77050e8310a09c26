// Matrix products of a few rows with packed columns: blocks of the result are held in registers.

#pragma once

#include "simd.h"

namespace {

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
template <class T, long M, long N, bool ACROSS>
inline void block(const T* const* begin, long column, const Factor<T>* factors, long count, long row, T* out,
                  long out_stride) {
    V<T> total[M][N];
#pragma GCC unroll 16
    for (long m = 0; m < M; m++)
#pragma GCC unroll 16
        for (long n = 0; n < N; n++) total[m][n] = load(begin[row + m] + column + n * L<T>);
    for (long f = 0; f < count; f++) {
        const Factor<T> factor = factors[f];
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
template <class T, long M, long N, bool ACROSS>
void blocks(long row, long rows, const T* const* begin, long column, const Factor<T>* factors, long count, T* out,
            long out_stride) {
    for (; row + M <= rows; row += M) block<T, M, N, ACROSS>(begin, column, factors, count, row, out, out_stride);
    if constexpr (M > 1)
        if (row < rows) blocks<T, M - 1, N, ACROSS>(row, rows, begin, column, factors, count, out, out_stride);
}

// The same for one panel, of which `columns` are in use; the result is written up to a whole vector.
template <class T, bool ACROSS>
void panel_product(long rows, long columns, const T* const* begin, long column, const Factor<T>* factors, long count,
                   T* out, long out_stride) {
    if (columns > L<T>) blocks<T, TALL, 2, ACROSS>(0, rows, begin, column, factors, count, out, out_stride);
    else blocks<T, TALL, 1, ACROSS>(0, rows, begin, column, factors, count, out, out_stride);
}

// The same for all panels; `factors` is spoilt.
template <class T>
void product(long rows, long columns, const T* const* begin, Factor<T>* factors, long count, T* out, long out_stride) {
    for (long column = 0; column < columns; column += PANEL<T>) {
        panel_product<T, false>(rows, columns - column, begin, column, factors, count, out, out_stride);
        for (long f = 0; f < count; f++) factors[f].right += factors[f].depth * PANEL<T>;
    }
}

// Where (k, column) of a matrix of this depth lies once it is packed.
template <class T> inline long packed(long depth, long k, long column) {
    return (column / PANEL<T> * depth + k) * PANEL<T> + column % PANEL<T>;
}

}  // namespace
