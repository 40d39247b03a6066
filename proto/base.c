/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sh_freep(void *p)
{
    void **pointer = p;
    free(*pointer);
    *pointer = NULL;
}

void sh_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

bool sh_strcopy(char *dst, size_t dst_size, const char *src)
{
    size_t n = strlen(src) + 1;
    if (n > dst_size) {
        if (dst_size > 0)
            dst[0] = '\0';
        return false;
    }
    memcpy(dst, src, n);
    return true;
}

int sh_write_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        p += written;
        n -= (size_t)written;
    }
    return 0;
}

void sh_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}
