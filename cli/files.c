/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "proto/msg.h"

void sh_content_clear(struct sh_content *content)
{
    if (content->p)
        sh_wipe(content->p, content->size);
    free(content->p);
}

bool sh_is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* All of the file or, for "-", of stdin; one octet more than max when it is longer. */
enum sh_cause sh_read_file(const char *path, size_t max, struct sh_content *ret_content)
{
    sh_autoclose int fd = sh_is_stdin(path) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                            : open(path, O_RDONLY | O_CLOEXEC);
    SH_CLEANUP(sh_content_clear) struct sh_content content = {.size = max + 1};
    if (fd < 0)
        return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
    content.p = malloc(content.size);
    if (!content.p)
        return SH_ENV_NO_MEMORY;
    while (content.n < content.size) {
        ssize_t got = read(fd, content.p + content.n, content.size - content.n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sh_fail(SH_SOURCE_UNREADABLE, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        content.n += (size_t)got;
    }
    *ret_content = content;
    content.p = NULL;
    return SH_OK;
}

/* Gives the temporary file its name. Without force a file that is there stays; file systems that cannot promise that
 * in one step are asked first. */
static int put_in_place(const char *temporary, const char *path, bool force)
{
    if (force)
        return rename(temporary, path) == 0 ? 0 : errno;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return rename(temporary, path) == 0 ? 0 : errno;
}

static int sync_folder_of(char *path)
{
    sh_autoclose int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* waits: for the disk, and no bytes move meanwhile */
    return fd >= 0 && fsync(fd) == 0 ? 0 : errno;
}

/* Whole or not at all, mode 0600. */
enum sh_cause sh_write_file(const char *path, struct sh_bytes bytes, bool force)
{
    sh_autofree char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return SH_ENV_NO_MEMORY;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return sh_cause_of_errno(errno, path);
    int error = fchmod(fd, 0600) == 0 ? sh_write_all(fd, bytes.p, bytes.n) : errno;
    /* waits: for the disk, and no bytes move meanwhile */
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    close(fd);
    if (error == 0)
        error = put_in_place(temporary, path, force);
    if (error) {
        unlink(temporary);
        return sh_cause_of_errno(error, path);
    }
    error =
        sync_folder_of(temporary); /* its folder is the same, and its name is not needed any more */
    return error ? sh_cause_of_errno(error, path) : SH_OK;
}

enum sh_cause sh_read_bundle_file(const char *path, struct sh_content *ret_content)
{
    SH_CLEANUP(sh_content_clear) struct sh_content content = {0};
    SH_TRY(sh_read_file(path, SH_BUNDLE_MAX, &content));
    if (content.n > SH_BUNDLE_MAX)
        return sh_fail(SH_BUNDLE_TOO_LARGE, "%s", path);
    *ret_content = content;
    content.p = NULL;
    return SH_OK;
}
