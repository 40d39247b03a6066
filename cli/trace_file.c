/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/trace_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "system/clock.h"
#include "system/thread.h"

#define NAME_PREFIX "run-"
#define NAME_SUFFIX ".jsonl"
#define NUMBER_MAX  99999999U
#define TRIES       8 /* another process may take the number */
#define LEAVE_MS    1000
#define PIPE_SIZE   (1 << 18)
#define CHUNK       65536

/* ---- The folder ---- */

bool sh_trace_file_path(const char *state, unsigned number, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/" SH_TRACE_FOLDER "/" NAME_PREFIX "%08u" NAME_SUFFIX, state,
                     number);
    return n > 0 && (size_t)n < size;
}

static bool number_in(const char *name, unsigned *ret_number)
{
    unsigned number = 0;
    size_t n = strlen(NAME_PREFIX);
    if (strncmp(name, NAME_PREFIX, n) != 0)
        return false;
    for (name += n; *name >= '0' && *name <= '9'; name++) {
        if (number > NUMBER_MAX / 10)
            return false;
        number = number * 10 + (unsigned)(*name - '0');
    }
    *ret_number = number;
    return number > 0 && strcmp(name, NAME_SUFFIX) == 0;
}

/* Keeps the list sorted; what falls out of it is given to dropped (may be NULL). */
static void insert(unsigned *numbers, size_t *count, unsigned number, const char *state,
                   void (*dropped)(const char *state, unsigned number))
{
    unsigned out = number;
    size_t i = 0;
    while (i < *count && numbers[i] < number)
        i++;
    if (*count == SH_TRACE_RUNS && i > 0) {
        out = numbers[0];
        memmove(numbers, numbers + 1, (i - 1) * sizeof(*numbers));
        numbers[i - 1] = number;
    } else if (*count < SH_TRACE_RUNS) {
        memmove(numbers + i + 1, numbers + i, (*count - i) * sizeof(*numbers));
        numbers[i] = number;
        (*count)++;
        return;
    }
    if (dropped)
        dropped(state, out);
}

static size_t list(const char *state, unsigned numbers[SH_TRACE_RUNS],
                   void (*dropped)(const char *state, unsigned number))
{
    char path[4200];
    size_t count = 0;
    unsigned number = 0;
    int n = snprintf(path, sizeof(path), "%s/" SH_TRACE_FOLDER, state);
    DIR *dir = n > 0 && (size_t)n < sizeof(path) ? opendir(path) : NULL;
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        if (number_in(entry->d_name, &number))
            insert(numbers, &count, number, state, dropped);
    }
    if (dir)
        closedir(dir);
    return count;
}

size_t sh_trace_files(const char *state, unsigned numbers[SH_TRACE_RUNS])
{
    return list(state, numbers, NULL);
}

static void remove_run(const char *state, unsigned number)
{
    char path[4200];
    if (sh_trace_file_path(state, number, path, sizeof(path)))
        unlink(path);
}

/* A file of a new number, with room made for it. -1: it cannot be had. */
static int create(const char *state)
{
    char path[4200];
    unsigned numbers[SH_TRACE_RUNS];
    int n = snprintf(path, sizeof(path), "%s/" SH_TRACE_FOLDER, state);
    if (n < 0 || (size_t)n >= sizeof(path) || (mkdir(path, 0700) != 0 && errno != EEXIST))
        return -1;
    for (unsigned i = 0; i < TRIES; i++) {
        size_t count = list(state, numbers, remove_run);
        if (count == SH_TRACE_RUNS)
            remove_run(state, numbers[0]);
        unsigned next = count > 0 ? numbers[count - 1] + 1 : 1;
        if (next > NUMBER_MAX || !sh_trace_file_path(state, next, path, sizeof(path)))
            return -1;
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* ---- The thread ---- */

/* The thread's own. */
struct job {
    int from;
    char state[];
};

static void *write_out(void *user)
{
    struct job *job = user;
    char chunk[CHUNK];
    int to = create(job->state);
    for (;;) {
        /* waits: on this thread, for lines or the end of the pipe */
        ssize_t n = read(job->from, chunk, sizeof(chunk));
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0 && to >= 0 && sh_write_all(to, chunk, (size_t)n) != 0) {
            close(to); /* the rest is read and thrown away */
            to = -1;
        }
    }
    if (to >= 0)
        close(to);
    close(job->from);
    free(job);
    return NULL;
}

static bool start_thread(const char *state, int from, pthread_t *ret_thread)
{
    size_t n = strlen(state) + 1;
    struct job *job = malloc(sizeof(*job) + n);
    if (!job)
        return false;
    job->from = from;
    memcpy(job->state, state, n);
    bool started = sh_thread_start(ret_thread, write_out, job);
    if (!started)
        free(job);
    return started;
}

/* ---- The file ---- */

struct sh_trace_file {
    struct sh_trace_start start;
    struct sh_tracer *tracer;
    pthread_t thread;
    int to;
    int64_t lost; /* lines that did not fit into the pipe, and are not told yet */
};

/* At most PIPE_BUF octets, so all of it or nothing. */
static bool push(const struct sh_trace_file *file, struct sh_bytes line)
{
    static_assert(SH_TRACE_LINE_MAX <= 4096, "PIPE_BUF");
    return write(file->to, line.p, line.n) == (ssize_t)line.n;
}

static void on_line(struct sh_bytes line, sh_ms at, void *user)
{
    struct sh_trace_file *file = user;
    if (file->lost > 0) {
        char text[SH_TRACE_LINE_MAX + 1];
        const struct sh_trace_record lost = {.kind = SH_TRACE_LOST, .at = at, .v = {file->lost}};
        size_t n = sh_trace_encode(&lost, text);
        if (push(file, SH_BYTES(text, n)))
            file->lost = 0;
    }
    if (file->lost > 0 || !push(file, line))
        file->lost++;
}

static const struct sh_tracer_ops tracer_ops = {.line = on_line};

static void first_line(struct sh_tracer *tracer, const struct sh_trace_start *start)
{
    int64_t version[3] = {0, 0, 0};
    const char *at = SIMHOP_VERSION, *radio = start->common->radio;
    for (size_t i = 0; i < SH_COUNT(version); i++) {
        char *end = NULL;
        version[i] = strtol(at, &end, 10);
        at = *end == '.' ? end + 1 : end;
    }
    SH_TRACE(tracer, sh_now(), 0, RUN, (int64_t)start->role, (int64_t)time(NULL), version[0],
             version[1], version[2], radio && strncmp(radio, "sim:", 4) == 0,
             (int64_t)start->policy, start->pair, start->calibrate);
}

/* A pipe with a thread at its end that makes the file. */
static bool open_pipe(const char *state, int *ret_to, pthread_t *ret_thread)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    (void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    if (start_thread(state, ends[0], ret_thread)) {
        *ret_to = ends[1];
        return true;
    }
    close(ends[0]);
    close(ends[1]);
    return false;
}

struct sh_trace_file *sh_trace_file_open(const struct sh_trace_start *start)
{
    struct sh_trace_file *file = calloc(1, sizeof(*file));
    if (!file)
        return NULL;
    file->start = *start;
    file->tracer = sh_tracer_new(&tracer_ops, file, sh_now());
    if (file->tracer && open_pipe(start->common->state, &file->to, &file->thread)) {
        first_line(file->tracer, start);
        return file;
    }
    sh_tracer_free(file->tracer);
    free(file);
    return NULL;
}

void sh_trace_file_renew(struct sh_trace_file *file)
{
    int to = -1;
    pthread_t thread;
    if (!file || !sh_tracer_is_old(file->tracer, sh_now()) ||
        !open_pipe(file->start.common->state, &to, &thread))
        return;
    sh_tracer_renew(file->tracer, sh_now()); /* what it still holds belongs to the old one */
    close(file->to);
    pthread_detach(file->thread);
    file->to = to;
    file->thread = thread;
    file->lost = 0;
    first_line(file->tracer, &file->start);
}

struct sh_tracer *sh_trace_file_tracer(const struct sh_trace_file *file)
{
    return file ? file->tracer : NULL;
}

void sh_trace_file_close(struct sh_trace_file *file, enum sh_cause end)
{
    struct timespec until;
    if (!file)
        return;
    SH_TRACE(file->tracer, sh_now(), 0, END, (int64_t)end);
    sh_tracer_free(file->tracer);
    close(file->to);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LEAVE_MS / 1000;
    /* waits: LEAVE_MS at most; a thread that is still stuck then has nothing of ours */
    if (pthread_timedjoin_np(file->thread, NULL, &until) != 0)
        pthread_detach(file->thread);
    free(file);
}
