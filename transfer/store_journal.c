/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/store_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/leaf.h"

#define HEADER    64
#define RECORD    33
#define THERE     1 /* the first octet of a record */
#define EXPECTED  2
#define MAGIC     "simhop1 leaves\n"
#define SIZE_AT   16
#define BOOT_AT   24
#define BOOT_SIZE 16
#define MARK_AT   40
#define SUM_AT    48
#define SUM_SIZE  16
#define BATCH     1024 /* records a read */
#define DEAD_MOST 16   /* sectors; a disk on which more cannot be read is not to be judged by it */

_Static_assert(sizeof(MAGIC) == SIZE_AT, "the size follows the magic with its NUL");

enum sh_cause sh_read_at(int fd, void *out, size_t n, uint64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (uint8_t *)out + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            enum sh_cause cause = sh_cause_of_errno(error, "read");
            errno = error;
            return cause;
        }
        if (got == 0)
            return sh_fail(SH_STORE_DAMAGED, "a file in .simhop is shorter than it was");
        done += (size_t)got;
    }
    return SH_OK;
}

bool sh_is_dead_sector(enum sh_cause cause)
{
    return cause == SH_STORE_IO_ERROR && errno == EIO;
}

enum sh_cause sh_write_at(int fd, const void *bytes, size_t n, uint64_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(fd, (const uint8_t *)bytes + done, n - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return sh_cause_of_errno(errno, "write");
        done += (size_t)put;
    }
    return SH_OK;
}

/* Changes with each start of the machine; zeros where the kernel does not say it. */
static void boot_id(uint8_t out[BOOT_SIZE])
{
    sh_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[36] = {0};
    uint8_t digest[32];
    memset(out, 0, BOOT_SIZE);
    if (fd < 0 || read(fd, text, sizeof(text)) != (ssize_t)sizeof(text))
        return;
    const struct sh_bytes piece = SH_BYTES(text, sizeof(text));
    if (sh_sha256(&piece, 1, digest) == SH_OK)
        memcpy(out, digest, BOOT_SIZE);
}

static void put_u64(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}

static enum sh_cause sum_of(const uint8_t header[HEADER], uint8_t out[SUM_SIZE])
{
    uint8_t digest[32];
    const struct sh_bytes piece = SH_BYTES(header, SUM_AT);
    SH_TRY(sh_sha256(&piece, 1, digest));
    memcpy(out, digest, SUM_SIZE);
    return SH_OK;
}

static enum sh_cause make_header(const struct sh_journal *journal, uint8_t out[HEADER])
{
    memset(out, 0, HEADER);
    memcpy(out, MAGIC, sizeof(MAGIC));
    put_u64(out + SIZE_AT, journal->size);
    boot_id(out + BOOT_AT);
    put_u64(out + MARK_AT, journal->synced);
    return sum_of(out, out + SUM_AT);
}

/* The mark of a header, 0 if it is torn. */
static enum sh_cause read_mark(const uint8_t header[HEADER], uint64_t *ret_leaves)
{
    uint8_t sum[SUM_SIZE];
    SH_TRY(sum_of(header, sum));
    bool whole = memcmp(sum, header + SUM_AT, SUM_SIZE) == 0;
    *ret_leaves = whole ? get_u64(header + MARK_AT) : 0;
    return SH_OK;
}

/* Whoever held the lock before may have removed the file under us: then ours is not the one that
 * the name means. */
static bool still_named(int fd, int folder, const char *name)
{
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static enum sh_cause open_locked(int folder, const char *name, int *ret_fd, struct stat *ret_stat)
{
    for (unsigned i = 0; i < 16; i++) {
        sh_autoclose int fd =
            openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
            return sh_fail(SH_STORE_DAMAGED, "%s: not a plain file", name);
        if (fd < 0)
            return sh_cause_of_errno(errno, name);
        if (fstat(fd, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode) || ret_stat->st_nlink > 1)
            return sh_fail(SH_STORE_DAMAGED, "%s: not a plain file", name);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? sh_fail(SH_STORE_BUSY, "%s", name)
                                        : sh_cause_of_errno(errno, name);
        if (fstat(fd, ret_stat) == 0 && still_named(fd, folder, name)) {
            *ret_fd = fd;
            fd = -1;
            return SH_OK;
        }
    }
    return sh_fail(SH_STORE_BUSY, "%s", name);
}

enum sh_cause sh_journal_open(struct sh_journal *journal, int folder, const char *name,
                              uint64_t size, bool *ret_new)
{
    struct stat st;
    int fd = -1;
    SH_TRY(open_locked(folder, name, &fd, &st));
    *journal = (struct sh_journal){.fd = fd, .size = size, .leaves = sh_leaf_count(size)};
    *ret_new = st.st_size == 0;
    return SH_OK;
}

uint64_t sh_journal_length(const struct sh_journal *journal)
{
    return HEADER + RECORD * journal->leaves;
}

static void mark(struct sh_journal *journal, uint64_t leaf)
{
    journal->bitmap[leaf / 8] |= (uint8_t)(1u << (leaf % 8));
    journal->have++;
    journal->verified += sh_leaf_length(journal->size, leaf);
}

/* A record of an earlier boot: does the data still have this hash? If not it is taken back; the
 * header says the old boot until all are looked at, so a kill in between only means to look
 * again. */
static enum sh_cause check_record(const struct sh_journal *journal, int part_fd, uint64_t leaf,
                                  const uint8_t *hash, uint8_t *buffer, unsigned *dead,
                                  bool *ret_has)
{
    static const uint8_t nothing[RECORD];
    uint8_t found[SH_HASH_SIZE];
    uint32_t length = sh_leaf_length(journal->size, leaf);
    enum sh_cause cause = sh_read_at(part_fd, buffer, length, leaf * SH_LEAF_SIZE);
    *ret_has = false;
    if (!sh_is_dead_sector(cause) || ++*dead > DEAD_MOST) { /* else it is not there */
        SH_TRY(cause);
        SH_TRY(sh_leaf_hash(SH_BYTES(buffer, length), found));
        *ret_has = memcmp(found, hash, SH_HASH_SIZE) == 0;
    }
    if (*ret_has)
        return SH_OK;
    return sh_write_at(journal->fd, nothing, RECORD, HEADER + leaf * RECORD);
}

/* Records of the leaves below `trusted` count as they are. */
static enum sh_cause load_records(struct sh_journal *journal, int part_fd, uint64_t trusted)
{
    sh_autofree uint8_t *records = malloc((size_t)BATCH * RECORD);
    sh_autofree uint8_t *buffer = malloc(SH_LEAF_SIZE);
    unsigned dead = 0;
    if (!records || !buffer)
        return SH_ENV_NO_MEMORY;
    for (uint64_t first = 0; first < journal->leaves; first += BATCH) {
        size_t count = (size_t)SH_MIN((uint64_t)BATCH, journal->leaves - first);
        SH_TRY(sh_read_at(journal->fd, records, count * RECORD, HEADER + first * RECORD));
        for (size_t i = 0; i < count; i++) {
            const uint8_t *record = records + i * RECORD;
            bool has = record[0] == THERE;
            if (has && first + i >= trusted)
                SH_TRY(check_record(journal, part_fd, first + i, record + 1, buffer, &dead, &has));
            if (has)
                mark(journal, first + i);
        }
    }
    return SH_OK;
}

static enum sh_cause write_header(const struct sh_journal *journal)
{
    uint8_t header[HEADER];
    SH_TRY(make_header(journal, header));
    return sh_write_at(journal->fd, header, HEADER, 0);
}

enum sh_cause sh_journal_load(struct sh_journal *journal, int part_fd, bool part_kept)
{
    uint8_t wanted[HEADER], found[HEADER];
    struct stat st;
    free(journal->bitmap);
    free(journal->fresh);
    journal->have = journal->verified = journal->synced = 0;
    journal->bitmap = calloc(1, (size_t)(journal->leaves / 8 + 1));
    journal->fresh = calloc(1, (size_t)(journal->leaves / 8 + 1));
    if (!journal->bitmap || !journal->fresh)
        return SH_ENV_NO_MEMORY;
    if (fstat(journal->fd, &st) < 0)
        return sh_cause_of_errno(errno, "fstat");
    if (!part_kept || (uint64_t)st.st_size != sh_journal_length(journal))
        return sh_journal_forget(journal);
    SH_TRY(sh_read_at(journal->fd, found, HEADER, 0));
    SH_TRY(make_header(journal, wanted));
    if (memcmp(found, wanted, BOOT_AT) != 0)
        return sh_journal_forget(journal);
    static const uint8_t unknown[BOOT_SIZE];
    bool same_boot = memcmp(found + BOOT_AT, wanted + BOOT_AT, BOOT_SIZE) == 0 &&
                     memcmp(found + BOOT_AT, unknown, BOOT_SIZE) != 0;
    SH_TRY(read_mark(found, &journal->synced));
    journal->synced = SH_MIN(journal->synced, journal->leaves);
    SH_TRY(load_records(journal, part_fd, same_boot ? UINT64_MAX : journal->synced));
    return same_boot ? SH_OK : write_header(journal);
}

bool sh_journal_has(const struct sh_journal *journal, uint64_t leaf)
{
    return journal->bitmap && leaf < journal->leaves &&
           (journal->bitmap[leaf / 8] >> (leaf % 8) & 1);
}

bool sh_journal_is_fresh(const struct sh_journal *journal, uint64_t leaf)
{
    return sh_journal_has(journal, leaf) && (journal->fresh[leaf / 8] >> (leaf % 8) & 1);
}

uint64_t sh_journal_next_missing(const struct sh_journal *journal, uint64_t from)
{
    uint64_t leaf = from;
    while (leaf < journal->leaves && sh_journal_has(journal, leaf)) {
        bool whole = leaf % 8 == 0 && journal->bitmap[leaf / 8] == 0xff;
        leaf += whole ? 8 : 1;
    }
    return SH_MIN(leaf, journal->leaves);
}

enum sh_cause sh_journal_write_record(int fd, uint64_t leaf, const uint8_t hash[SH_HASH_SIZE])
{
    uint8_t record[RECORD] = {THERE};
    memcpy(record + 1, hash, SH_HASH_SIZE);
    return sh_write_at(fd, record, RECORD, HEADER + leaf * RECORD);
}

void sh_journal_mark(struct sh_journal *journal, uint64_t leaf)
{
    if (sh_journal_has(journal, leaf))
        return;
    mark(journal, leaf);
    journal->fresh[leaf / 8] |= (uint8_t)(1u << (leaf % 8));
}

enum sh_cause sh_journal_hash(const struct sh_journal *journal, uint64_t leaf,
                              uint8_t out[SH_HASH_SIZE])
{
    return sh_read_at(journal->fd, out, SH_HASH_SIZE, HEADER + leaf * RECORD + 1);
}

enum sh_cause sh_journal_expect(struct sh_journal *journal, uint64_t first, const uint8_t *hashes,
                                unsigned count)
{
    size_t n = (size_t)count * RECORD;
    uint64_t offset = HEADER + first * RECORD;
    sh_autofree uint8_t *records = malloc(n + 1);
    if (!records)
        return SH_ENV_NO_MEMORY;
    SH_TRY(sh_read_at(journal->fd, records, n, offset));
    for (unsigned i = 0; i < count; i++) {
        uint8_t *record = records + (size_t)i * RECORD;
        if (sh_journal_has(journal, first + i))
            continue;
        record[0] = EXPECTED;
        memcpy(record + 1, hashes + (size_t)i * SH_HASH_SIZE, SH_HASH_SIZE);
    }
    return sh_write_at(journal->fd, records, n, offset);
}

enum sh_cause sh_journal_expected(const struct sh_journal *journal, uint64_t leaf,
                                  uint8_t out[SH_HASH_SIZE], bool *ret_known)
{
    uint8_t record[RECORD];
    SH_TRY(sh_read_at(journal->fd, record, RECORD, HEADER + leaf * RECORD));
    memcpy(out, record + 1, SH_HASH_SIZE);
    *ret_known = record[0] == EXPECTED;
    return SH_OK;
}

enum sh_cause sh_journal_clear(struct sh_journal *journal, uint64_t leaf)
{
    static const uint8_t nothing[RECORD];
    if (!sh_journal_has(journal, leaf))
        return SH_OK;
    journal->bitmap[leaf / 8] &= (uint8_t) ~(1u << (leaf % 8));
    journal->have--;
    journal->verified -= sh_leaf_length(journal->size, leaf);
    SH_TRY(sh_write_at(journal->fd, nothing, RECORD, HEADER + leaf * RECORD));
    return journal->synced <= leaf ? SH_OK : sh_journal_set_synced(journal, leaf);
}

enum sh_cause sh_journal_set_synced(struct sh_journal *journal, uint64_t leaves)
{
    journal->synced = leaves;
    return write_header(journal);
}

enum sh_cause sh_journal_root(int fd, uint64_t leaves, uint8_t out[SH_HASH_SIZE])
{
    sh_autofree uint8_t *records = malloc((size_t)BATCH * RECORD);
    struct sh_hashtree tree;
    if (!records)
        return SH_ENV_NO_MEMORY;
    sh_hashtree_init(&tree);
    for (uint64_t first = 0; first < leaves; first += BATCH) {
        size_t count = (size_t)SH_MIN((uint64_t)BATCH, leaves - first);
        SH_TRY(sh_read_at(fd, records, count * RECORD, HEADER + first * RECORD));
        for (size_t i = 0; i < count; i++)
            SH_TRY(sh_hashtree_append(&tree, records + i * RECORD + 1));
    }
    return sh_hashtree_root(&tree, out);
}

enum sh_cause sh_journal_forget(struct sh_journal *journal)
{
    off_t length = (off_t)sh_journal_length(journal);
    journal->have = journal->verified = journal->synced = 0;
    if (journal->bitmap)
        memset(journal->bitmap, 0, (size_t)(journal->leaves / 8 + 1));
    if (journal->fresh)
        memset(journal->fresh, 0, (size_t)(journal->leaves / 8 + 1));
    if (ftruncate(journal->fd, 0) < 0 || ftruncate(journal->fd, length) < 0)
        return sh_cause_of_errno(errno, "ftruncate");
    return write_header(journal);
}

void sh_journal_close(struct sh_journal *journal)
{
    sh_closep(&journal->fd);
    journal->fd = -1;
    free(journal->bitmap);
    free(journal->fresh);
    journal->bitmap = journal->fresh = NULL;
}
