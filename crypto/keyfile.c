/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void sh_keyfile_wipe(struct sh_keyfile *content)
{
    if (content)
        sh_wipe(content, sizeof(*content));
}

static enum sh_cause path_of(const char *folder, const char *name, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return n > 0 && n < PATH_MAX ? SH_OK : sh_cause_of_errno(ENAMETOOLONG, folder);
}

/* mkdir, content with a folder that is there. */
static enum sh_cause make_one(const char *folder)
{
    struct stat st;
    if (mkdir(folder, 0700) == 0)
        return SH_OK;
    int error = errno;
    if (stat(folder, &st) != 0)
        return sh_cause_of_errno(error, folder);
    return S_ISDIR(st.st_mode) ? SH_OK : sh_cause_of_errno(ENOTDIR, folder);
}

enum sh_cause sh_keyfile_folder(const char *folder)
{
    char path[PATH_MAX];
    if (!sh_strcopy(path, sizeof(path), folder))
        return sh_cause_of_errno(ENAMETOOLONG, folder);
    for (char *slash = strchr(path + 1, '/'); path[0] && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        SH_TRY(make_one(path));
        *slash = '/';
    }
    return make_one(path);
}

static enum sh_cause read_all(int fd, const char *path, struct sh_keyfile *ret_content)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return sh_cause_of_errno(errno, path);
    if (!S_ISREG(st.st_mode))
        return sh_fail(SH_ENV_KEY_DAMAGED, "%s: not a file", path);
    ret_content->n = 0;
    for (;;) {
        uint8_t beyond;
        size_t room = SH_KEYFILE_MAX - ret_content->n;
        ssize_t got = read(fd, room ? ret_content->b + ret_content->n : &beyond, room ? room : 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sh_cause_of_errno(errno, path);
        if (got == 0)
            return SH_OK;
        if (room == 0)
            return sh_fail(SH_ENV_KEY_DAMAGED, "%s: longer than %d octets", path, SH_KEYFILE_MAX);
        ret_content->n += (size_t)got;
    }
}

enum sh_cause sh_keyfile_read(const char *folder, const char *name, struct sh_keyfile *ret_content,
                              bool *ret_found)
{
    char path[PATH_MAX];
    SH_TRY(path_of(folder, name, path));
    sh_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        *ret_found = false;
        return SH_OK;
    }
    if (fd < 0)
        return sh_cause_of_errno(errno, path);
    SH_TRY(read_all(fd, path, ret_content));
    *ret_found = true;
    return SH_OK;
}

static enum sh_cause write_durably(int fd, const char *path, const struct sh_keyfile *content)
{
    int error = sh_write_all(fd, content->b, content->n);
    /* waits: for the disk, and no bytes move meanwhile */
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    return error ? sh_cause_of_errno(error, path) : SH_OK;
}

/* Gives the finished file its name. */
static enum sh_cause publish(const char *temporary, const char *path, bool replace)
{
    if (replace)
        return rename(temporary, path) == 0 ? SH_OK : sh_cause_of_errno(errno, path);
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0 || errno == EEXIST)
        return SH_OK;
    /* Some file systems know only the older way of not replacing. */
    if (errno == EINVAL && (link(temporary, path) == 0 || errno == EEXIST))
        return SH_OK;
    return sh_cause_of_errno(errno, path);
}

static enum sh_cause sync_folder(const char *folder)
{
    sh_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* waits: for the disk, and no bytes move meanwhile */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) /* EINVAL: it has nothing to sync */
        return sh_cause_of_errno(errno, folder);
    return SH_OK;
}

enum sh_cause sh_keyfile_write(const char *folder, const char *name,
                               const struct sh_keyfile *content, bool replace)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    SH_TRY(path_of(folder, name, path));
    SH_TRY(path_of(folder, ".new-XXXXXX", temporary));
    sh_autoclose int fd = mkostemp(temporary, O_CLOEXEC); /* of mode 0600 */
    if (fd < 0)
        return sh_cause_of_errno(errno, path);
    enum sh_cause cause = write_durably(fd, path, content);
    if (cause == SH_OK)
        cause = publish(temporary, path, replace);
    unlink(temporary); /* still there unless it was renamed */
    SH_TRY(cause);
    return sync_folder(folder);
}
