/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keyfiles into NetworkManager's folder. All texts are made before the first is written. A file appears by rename,
 * whole or not at all. A place (simhop-ICCID-n) is taken if it is free or holds our own earlier file; what a person
 * or another anchor put there stays. Our own files beyond those of now are removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "profile/installer.h"
#include "profile/nm_keyfile.h"
#include "profile/text.h"

#define DEFAULT_FOLDER "/etc/NetworkManager/system-connections"
#define PLACES_MAX     (4 * SH_BUNDLE_APNS_MAX)
#define KEYFILE_MAX    65536

enum place { PLACE_FREE, PLACE_OURS, PLACE_FOREIGN };

/* One line being installed. */
struct job {
    const char *folder;
    int fd; /* of the folder: everything happens relative to it */
    const Simhop__Bundle *bundle;
    const Simhop__ProfileInstance *line;
    sh_installed_fn done;
    void *user;
};

static const char *folder_of(const struct sh_install_config *config)
{
    return config->nm_dir ? config->nm_dir : DEFAULT_FOLDER;
}

static enum sh_cause failed(int error, const struct job *job, const char *name)
{
    bool permission = error == EACCES || error == EPERM;
    return sh_fail(permission ? SH_INSTALL_PERMISSION : SH_INSTALL_WRITE, "%s%s%s: %s", job->folder,
                   name[0] ? "/" : "", name, strerror(error));
}

static bool nm_applies(const struct sh_install_config *config)
{
    struct stat st;
    return stat(folder_of(config), &st) == 0 && S_ISDIR(st.st_mode);
}

/* Whose is the file of this name? One that cannot be read is not ours to replace. */
static enum sh_cause look(const struct job *job, const char *name, enum place *ret_place)
{
    sh_autoclose int fd = openat(job->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 && errno == ENOENT) {
        *ret_place = PLACE_FREE;
        return SH_OK;
    }
    if (fd < 0 && errno != ELOOP && errno != EACCES)
        return failed(errno, job, name);
    *ret_place = PLACE_FOREIGN;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > KEYFILE_MAX)
        return SH_OK;
    char *text = calloc(1, KEYFILE_MAX + 1);
    if (!text)
        return SH_ENV_NO_MEMORY;
    ssize_t got = read(fd, text, KEYFILE_MAX);
    if (got > 0 && sh_nm_is_ours(text, job->bundle, job->line))
        *ret_place = PLACE_OURS;
    sh_wipe(text, KEYFILE_MAX);
    free(text);
    return SH_OK;
}

/* NetworkManager does not look at names that start with a dot. */
static int open_temporary(const struct job *job, char *name, size_t size)
{
    for (unsigned tries = 0; tries < 16; tries++) {
        uint8_t random[8];
        char hex[17];
        if (sh_random(random, sizeof(random)) != SH_OK)
            break;
        sh_hex(random, sizeof(random), hex);
        snprintf(name, size, ".simhop-%s.tmp", hex);
        int fd = openat(job->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    errno = EEXIST;
    return -1;
}

static enum sh_cause write_file(const struct job *job, const char *name, const char *text)
{
    char temporary[64], path[4096];
    sh_autoclose int fd = open_temporary(job, temporary, sizeof(temporary));
    if (fd < 0)
        return failed(errno, job, "");
    int error = fchmod(fd, 0600) == 0 ? sh_write_all(fd, text, strlen(text)) : errno;
    /* waits: for the disk, and no bytes move meanwhile */
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    if (error == 0 && renameat(job->fd, temporary, job->fd, name) != 0)
        error = errno;
    if (error) {
        unlinkat(job->fd, temporary, 0);
        return failed(error, job, name);
    }
    /* waits: for the disk, and no bytes move meanwhile */
    if (fsync(job->fd) != 0)
        return failed(errno, job, "");
    if (job->done) {
        snprintf(path, sizeof(path), "%s/%s", job->folder, name);
        job->done("nm", path, job->user);
    }
    return SH_OK;
}

/* Puts the texts into places from 1 on; with no text left, our own files there are left-overs. */
static enum sh_cause fill_places(const struct job *job, char *const *texts, size_t count)
{
    size_t written = 0;
    for (unsigned n = 1; n <= PLACES_MAX; n++) {
        char name[64];
        enum place place = PLACE_FREE;
        if (!sh_nm_keyfile_name(job->line, n, name, sizeof(name)))
            return sh_fail(SH_INSTALL_REFUSED, "line: its ICCID is too long");
        SH_TRY(look(job, name, &place));
        if (place == PLACE_FOREIGN)
            continue;
        if (written < count)
            SH_TRY(write_file(job, name, texts[written++]));
        else if (place == PLACE_OURS && unlinkat(job->fd, name, 0) != 0)
            return failed(errno, job, name);
    }
    if (written < count)
        return sh_fail(SH_INSTALL_WRITE, "%s: other files take all names", job->folder);
    return SH_OK;
}

static enum sh_cause make_texts(const struct job *job, char **texts, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < job->line->n_apns && count < SH_BUNDLE_APNS_MAX; i++) {
        if (sh_nm_is_wanted(job->line, job->line->apns[i])) {
            SH_TRY(sh_nm_keyfile(job->bundle, job->line, job->line->apns[i], &texts[count]));
            count++;
        }
    }
    *ret_count = count;
    return SH_OK;
}

static enum sh_cause install_line(const struct job *job)
{
    char *texts[SH_BUNDLE_APNS_MAX] = {NULL};
    size_t count = 0;
    enum sh_cause cause = make_texts(job, texts, &count);
    if (cause == SH_OK)
        cause = fill_places(job, texts, count);
    for (size_t i = 0; i < SH_COUNT(texts); i++)
        sh_free_secret(texts[i]);
    return cause;
}

static enum sh_cause nm_bundle(const struct sh_install_config *config, const Simhop__Bundle *bundle,
                               const char *path SH_UNUSED, sh_installed_fn done, void *user)
{
    struct job job = {
        .folder = folder_of(config), .fd = -1, .bundle = bundle, .done = done, .user = user};
    job.fd = open(job.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (job.fd < 0)
        return failed(errno, &job, "");
    enum sh_cause cause = SH_OK;
    for (size_t i = 0; i < bundle->n_lines && cause == SH_OK; i++) {
        job.line = bundle->lines[i];
        if (job.line->iccid && job.line->iccid[0])
            cause = install_line(&job);
    }
    close(job.fd);
    return cause;
}

const struct sh_installer sh_installer_nm = {
    .name = "nm", .applies = nm_applies, .bundle = nm_bundle};
