/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/msg.h"

enum sh_cause sh_read_bundle_file(const char *path, uint8_t **ret_bytes, size_t *ret_len)
{
    sh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    sh_autofree uint8_t *bytes = malloc(SH_BUNDLE_MAX + 1);
    size_t n = 0;
    if (fd < 0)
        return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
    if (!bytes)
        return SH_ENV_NO_MEMORY;
    while (n <= SH_BUNDLE_MAX) {
        ssize_t got = read(fd, bytes + n, SH_BUNDLE_MAX + 1 - n);
        if (got < 0)
            return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n > SH_BUNDLE_MAX)
        return sh_fail(SH_BUNDLE_TOO_LARGE, "%s", path);
    *ret_bytes = bytes;
    *ret_len = n;
    bytes = NULL;
    return SH_OK;
}
