/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/air_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pairing/air_parse.h"
#include "proto/log.h"

#define LOOK_MS      40
#define FILE_MAX_LEN 65536 /* the rest of a longer file is not read */
#define LOGGED_LINES 32
#define APART_M      0.25

enum { POSITIONS, AIR, FAULTS, FILES };

static const char *const file_names[FILES] = {"positions", "air", "faults"};

struct watched {
    uint8_t *text; /* what counts now */
    size_t len;
    uint8_t *waiting; /* half-written, it seems; NULL if not */
    size_t waiting_len;
};

struct sh_air_files {
    int dir;
    bool looked;
    sh_ms last_look;
    struct watched file[FILES];
    struct sh_air air;
    struct sh_air_positions positions;
    struct sh_air_faults faults;
    /* Hashes of bad lines that were logged. */
    uint64_t logged[LOGGED_LINES];
    size_t logged_next;
    const char *parsing;
};

static void log_bad_line(struct sh_bytes line, void *user)
{
    struct sh_air_files *files = user;
    uint64_t hash = sh_air_hash(0, line.n);
    for (size_t i = 0; i < line.n; i++)
        hash = sh_air_hash(hash, line.p[i]);
    for (size_t i = 0; i < LOGGED_LINES; i++) {
        if (files->logged[i] == hash)
            return;
    }
    files->logged[files->logged_next] = hash;
    files->logged_next = (files->logged_next + 1) % LOGGED_LINES;
    char text[81];
    size_t n = SH_MIN(line.n, sizeof(text) - 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(line.p[i] >= ' ' && line.p[i] < 0x7f ? line.p[i] : '?');
    text[n] = '\0';
    sh_log("air: %s: line ignored: %s", files->parsing, text);
}

static void parse(struct sh_air_files *files, unsigned which)
{
    struct sh_bytes text = SH_BYTES(files->file[which].text, files->file[which].len);
    files->parsing = file_names[which];
    switch (which) {
    case POSITIONS:
        sh_air_parse_positions(text, log_bad_line, files, &files->positions);
        break;
    case AIR:
        sh_air_parse_air(text, log_bad_line, files, &files->air);
        break;
    default:
        sh_air_parse_faults(text, log_bad_line, files, &files->faults);
        break;
    }
}

/* The whole text of a file, "" if there is none. false when it cannot be read now (no memory, no
 * descriptor): what was known before still counts. O_NONBLOCK so that a FIFO of that name cannot
 * hold us up. */
static bool read_file(int dir, const char *name, uint8_t **ret_text, size_t *ret_len)
{
    sh_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        *ret_text = NULL;
        *ret_len = 0;
        return errno == ENOENT;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    sh_autofree uint8_t *text = malloc(FILE_MAX_LEN);
    if (!text)
        return false;
    size_t len = 0;
    while (len < FILE_MAX_LEN) {
        ssize_t n = read(fd, text + len, FILE_MAX_LEN - len);
        if (n < 0)
            return false;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_text = text;
    *ret_len = len;
    text = NULL;
    return true;
}

static bool same(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

/* Takes what a file holds now. A text that is empty or does not end with a newline may be one that
 * is being written; it counts when it is still the same at the next look. */
static void look(struct sh_air_files *files, unsigned which)
{
    struct watched *file = &files->file[which];
    sh_autofree uint8_t *text = NULL;
    size_t len = 0;
    if (!read_file(files->dir, file_names[which], &text, &len))
        return;
    sh_autofree uint8_t *waited = file->waiting;
    file->waiting = NULL;
    if (files->looked && same(text, len, file->text, file->len))
        return;
    bool whole = len > 0 && text[len - 1] == '\n';
    bool steady = waited && same(text, len, waited, file->waiting_len);
    if (files->looked && !whole && !steady) {
        file->waiting = text ? text : calloc(1, 1);
        file->waiting_len = len;
        text = NULL;
        return;
    }
    free(file->text);
    file->text = text;
    file->len = len;
    text = NULL;
    parse(files, which);
}

enum sh_cause sh_air_files_open(const char *dir, struct sh_air_files **ret_files)
{
    struct sh_air_files *files = calloc(1, sizeof(*files));
    if (!files)
        return SH_ENV_NO_MEMORY;
    files->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->dir < 0) {
        int error = errno;
        free(files);
        return sh_fail(SH_ENV_NO_RADIO, "%s: %s", dir, strerror(error));
    }
    files->air = sh_air_default;
    for (unsigned which = 0; which < FILES; which++)
        look(files, which);
    files->looked = true;
    *ret_files = files;
    return SH_OK;
}

void sh_air_files_close(struct sh_air_files *files)
{
    if (!files)
        return;
    for (unsigned which = 0; which < FILES; which++) {
        free(files->file[which].text);
        free(files->file[which].waiting);
    }
    close(files->dir);
    free(files);
}

void sh_air_files_refresh(struct sh_air_files *files, sh_ms now)
{
    if (now >= files->last_look && now - files->last_look < LOOK_MS)
        return;
    files->last_look = now;
    for (unsigned which = 0; which < FILES; which++)
        look(files, which);
}

const struct sh_air *sh_air_files_air(const struct sh_air_files *files)
{
    return &files->air;
}

static const struct sh_position *find(const struct sh_air_files *files, const char *name)
{
    for (size_t i = 0; i < files->positions.count; i++) {
        if (strcmp(files->positions.device[i].name, name) == 0)
            return &files->positions.device[i].at;
    }
    return NULL;
}

void sh_air_files_places(const struct sh_air_files *files, const char *a, const char *b,
                         struct sh_position *ret_a, struct sh_position *ret_b)
{
    const struct sh_position *place_a = find(files, a);
    const struct sh_position *place_b = find(files, b);
    if (place_a && place_b) {
        *ret_a = *place_a;
        *ret_b = *place_b;
        return;
    }
    /* Who has no line stands beside whoever has; which of the two stands left goes by name, so that
     * both ends see the same two places. */
    struct sh_position left = {0};
    if (place_a)
        left = *place_a;
    else if (place_b)
        left = *place_b;
    struct sh_position right = {.x = left.x + APART_M, .y = left.y};
    bool a_left = place_a || (!place_b && strcmp(a, b) < 0);
    *ret_a = a_left ? left : right;
    *ret_b = a_left ? right : left;
}

struct sh_fault sh_air_files_fault(const struct sh_air_files *files, enum sh_fault_target target)
{
    if ((unsigned)target >= SH_FAULT_TARGETS)
        return (struct sh_fault){0};
    return files->faults.target[target];
}

struct sh_fault sh_air_files_message_fault(const struct sh_air_files *files, unsigned type)
{
    if (type >= SH_AIR_MESSAGES)
        return (struct sh_fault){0};
    return files->faults.message[type];
}
