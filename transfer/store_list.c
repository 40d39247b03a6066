/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/store_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/leaf.h"
#include "transfer/store_internal.h"

#define WORK     ".simhop"
#define HEADER   64 /* of the journal, as transfer/store_journal.h has it */
#define RECORD   33
#define MAGIC    "simhop1 leaves\n"
#define SIZE_AT  16
#define BATCH    1024 /* records a read */
#define HEX_SIZE ((size_t)2 * SH_ITEM_ID_SIZE)

struct names {
    char part[HEX_SIZE + sizeof(".part")];
    char leaves[HEX_SIZE + sizeof(".leaves")];
};

static struct names names_of(const uint8_t id[SH_ITEM_ID_SIZE])
{
    struct names names;
    char hex[HEX_SIZE + 1];
    sh_hex(id, SH_ITEM_ID_SIZE, hex);
    snprintf(names.part, sizeof(names.part), "%s.part", hex);
    snprintf(names.leaves, sizeof(names.leaves), "%s.leaves", hex);
    return names;
}

/* Nothing there, or something that is not ours. */
static bool is_absent(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/* -1 where there is none. */
static enum sh_cause open_work(const char *dir, int *ret_dir, int *ret_work)
{
    sh_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int work = -1;
    if (fd < 0 && !is_absent(errno))
        return sh_cause_of_errno(errno, dir);
    if (fd >= 0)
        work = openat(fd, WORK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && work < 0 && !is_absent(errno))
        return sh_cause_of_errno(errno, dir);
    *ret_dir = fd;
    *ret_work = work;
    fd = -1;
    return SH_OK;
}

/* ---- looking ---- */

static bool is_header(const uint8_t header[HEADER], uint64_t size)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < 8; i++)
        found = found << 8 | header[SIZE_AT + i];
    return memcmp(header, MAGIC, sizeof(MAGIC)) == 0 && found == size;
}

static enum sh_cause count_records(int fd, uint64_t size, uint64_t *ret_verified)
{
    sh_autofree uint8_t *records = malloc((size_t)BATCH * RECORD);
    uint64_t leaves = sh_leaf_count(size), verified = 0;
    if (!records)
        return SH_ENV_NO_MEMORY;
    for (uint64_t first = 0; first < leaves; first += BATCH) {
        size_t count = (size_t)SH_MIN((uint64_t)BATCH, leaves - first);
        SH_TRY(sh_read_at(fd, records, count * RECORD, HEADER + first * RECORD));
        for (size_t i = 0; i < count; i++)
            verified += records[i * RECORD] == 1 ? sh_leaf_length(size, first + i) : 0;
    }
    *ret_verified = verified;
    return SH_OK;
}

bool sh_store_has_records(int journal_fd, uint64_t size)
{
    uint8_t header[HEADER];
    uint64_t verified = 0;
    struct stat st;
    if (fstat(journal_fd, &st) == 0 && st.st_size == 0)
        return false;
    return sh_read_at(journal_fd, header, sizeof(header), 0) != SH_OK || !is_header(header, size) ||
           count_records(journal_fd, size, &verified) != SH_OK || verified > 0;
}

static bool has_length(int fd, uint64_t length)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == length;
}

/* A journal, or data, of another size counts as nothing: the next session starts anew there. */
static enum sh_cause look(int part, int leaves, uint64_t size, uint64_t *ret_verified)
{
    uint8_t header[HEADER];
    if (!has_length(part, size) || !has_length(leaves, HEADER + RECORD * sh_leaf_count(size)))
        return SH_OK;
    SH_TRY(sh_read_at(leaves, header, sizeof(header), 0));
    return is_header(header, size) ? count_records(leaves, size, ret_verified) : SH_OK;
}

enum sh_cause sh_store_look(const char *dir, const uint8_t id[SH_ITEM_ID_SIZE], uint64_t size,
                            struct sh_store_look *ret_look)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct names names = names_of(id);
    struct sh_store_look found = {0};
    sh_autoclose int dir_fd = -1, work = -1, part = -1, leaves = -1;
    SH_TRY(open_work(dir, &dir_fd, &work));
    if (work >= 0) {
        part = openat(work, names.part, flags);
        if (part < 0 && !is_absent(errno))
            return sh_cause_of_errno(errno, names.part);
        leaves = openat(work, names.leaves, flags);
        if (leaves < 0 && !is_absent(errno))
            return sh_cause_of_errno(errno, names.leaves);
    }
    found.there = part >= 0 && leaves >= 0;
    enum sh_cause cause = found.there ? look(part, leaves, size, &found.verified) : SH_OK;
    /* Who works on it may begin it anew while we look, and a file is then shorter than it was. */
    if (cause != SH_OK && cause != SH_STORE_DAMAGED)
        return cause;
    *ret_look = found;
    return SH_OK;
}

enum sh_cause sh_store_part_path(const char *dir, const uint8_t id[SH_ITEM_ID_SIZE],
                                 char **ret_path)
{
    struct names names = names_of(id);
    size_t n = strlen(dir) + sizeof("/" WORK "/") + sizeof(names.part);
    char *path = malloc(n);
    if (!path)
        return SH_ENV_NO_MEMORY;
    snprintf(path, n, "%s/" WORK "/%s", dir, names.part);
    *ret_path = path;
    return SH_OK;
}

/* ---- giving up ---- */

static enum sh_cause remove_file(int work, const char *name)
{
    return unlinkat(work, name, 0) == 0 || errno == ENOENT ? SH_OK : sh_cause_of_errno(errno, name);
}

enum sh_cause sh_store_drop(const char *dir, const uint8_t id[SH_ITEM_ID_SIZE], uint64_t size)
{
    struct names names = names_of(id);
    struct sh_journal journal = {.fd = -1};
    sh_autoclose int dir_fd = -1, work = -1;
    bool is_new = false;
    SH_TRY(open_work(dir, &dir_fd, &work));
    if (work < 0)
        return SH_OK;
    SH_TRY(sh_journal_open(&journal, work, names.leaves, size, &is_new)); /* for its lock */
    enum sh_cause cause = remove_file(work, names.part);
    if (cause == SH_OK)
        cause = remove_file(work, names.leaves);
    sh_journal_close(&journal);
    (void)unlinkat(dir_fd, WORK, AT_REMOVEDIR); /* stays if anything is in it */
    return cause;
}
