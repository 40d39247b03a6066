/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every room uses: attributes that make the compiler watch results and clean-up, byte spans,
 * and the unit of time. No function here does I/O.
 *
 * Engines never read a clock: time comes in as sh_ms, milliseconds of CLOCK_BOOTTIME (or of a
 * test's virtual clock), and only differences of it mean anything.
 */
#ifndef SIMHOP_PROTO_BASE_H
#define SIMHOP_PROTO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SH_MUST_USE     __attribute__((warn_unused_result))
#define SH_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SH_CLEANUP(fn)  __attribute__((cleanup(fn)))
#define SH_UNUSED       __attribute__((unused))

#define SH_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Each evaluates one of its operands twice: not for what costs, changes something or reads a clock. */
#define SH_MIN(a, b)          ((a) < (b) ? (a) : (b))
#define SH_MAX(a, b)          ((a) > (b) ? (a) : (b))
#define SH_DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))

/* Milliseconds of CLOCK_BOOTTIME. */
typedef uint64_t sh_ms;
#define SH_NEVER UINT64_MAX

/* A view of bytes that somebody else owns. p may be NULL only where n is 0. */
struct sh_bytes {
    const uint8_t *p;
    size_t n;
};

#define SH_BYTES(ptr, len) ((struct sh_bytes){.p = (const uint8_t *)(ptr), .n = (len)})

/* Clean-up helpers: `sh_autofree char *s = NULL;` frees at every way out of the scope.
 * They take the address of the variable; NULL and -1 are fine. */
void sh_freep(void *p);
void sh_closep(const int *fd);
#define sh_autofree  SH_CLEANUP(sh_freep)
#define sh_autoclose SH_CLEANUP(sh_closep)

/* Copies src with its NUL into dst of dst_size bytes. false and dst = "" when it does not fit. */
SH_MUST_USE bool sh_strcopy(char *dst, size_t dst_size, const char *src);

/* Writes all n octets to a descriptor. 0, or the errno of what failed. */
SH_MUST_USE int sh_write_all(int fd, const void *bytes, size_t n);

/* Lower-case hexadecimal of n bytes into out, which holds 2 * n + 1 characters. */
void sh_hex(const uint8_t *bytes, size_t n, char *out);

#endif
