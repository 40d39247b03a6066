/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secret.h"

struct sh_ask {
    const struct sh_ask_ops *ops;
    void *user;
    int fd;
    struct event *readable; /* the descriptor; may not be one that can be waited for */
    struct event *now;      /* what is in the buffer, or a descriptor that is always readable */
    bool wanted, ended;
    uint8_t buffer[128];
    size_t have;
};

/* The next whole line out of the buffer, without its newline; at the end of the input also an unfinished one. */
static bool take_line(struct sh_ask *ask, uint8_t line[sizeof(ask->buffer)], size_t *ret_len)
{
    const uint8_t *newline = memchr(ask->buffer, '\n', ask->have);
    size_t n = newline ? (size_t)(newline - ask->buffer) : ask->have;
    if (!newline && !(ask->ended && n > 0) && n < sizeof(ask->buffer))
        return false;
    size_t used = newline ? n + 1 : n;
    memcpy(line, ask->buffer, n);
    memmove(ask->buffer, ask->buffer + used, ask->have - used);
    ask->have -= used;
    *ret_len = n;
    return true;
}

static void stop(struct sh_ask *ask)
{
    ask->wanted = false;
    event_del(ask->readable);
    event_del(ask->now);
}

/* Gives lines until one of them is a code. */
static void give(struct sh_ask *ask)
{
    uint8_t line[sizeof(ask->buffer)];
    size_t n = 0;
    while (ask->wanted && take_line(ask, line, &n)) {
        struct sh_code code;
        bool good = sh_code_parse(SH_BYTES(line, n), &code);
        sh_wipe(line, sizeof(line));
        if (!good) {
            ask->ops->strange(ask->user);
            continue;
        }
        stop(ask);
        ask->ops->code(&code, ask->user);
        sh_wipe(&code, sizeof(code));
        return;
    }
    if (ask->wanted && ask->ended) {
        stop(ask);
        ask->ops->failed(SH_CONFIRM_NO_CODE, ask->user);
    }
}

static void on_readable(evutil_socket_t fd, short what SH_UNUSED, void *user)
{
    struct sh_ask *ask = user;
    ssize_t got = read(fd, ask->buffer + ask->have, sizeof(ask->buffer) - ask->have);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        ask->ended = true;
    else
        ask->have += (size_t)got;
    give(ask);
}

/* Also the way for a regular file, which no loop can wait for and which never blocks. */
static void on_now(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    struct sh_ask *ask = user;
    give(ask);
    if (!ask->wanted || event_add(ask->readable, NULL) == 0)
        return;
    while (ask->wanted && !ask->ended)
        on_readable(ask->fd, EV_READ, ask);
}

enum sh_cause sh_ask_new(struct event_base *base, int fd, const struct sh_ask_ops *ops, void *user,
                         struct sh_ask **ret_ask)
{
    struct sh_ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return SH_ENV_NO_MEMORY;
    ask->ops = ops;
    ask->user = user;
    ask->fd = fd;
    /* A closed descriptor is met when a code is wanted: no code is needed to come back. */
    ask->ended = fcntl(fd, F_GETFD) < 0;
    ask->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, ask);
    ask->now = event_new(base, -1, 0, on_now, ask);
    if (!ask->readable || !ask->now) {
        sh_ask_free(ask);
        return SH_ENV_NO_MEMORY;
    }
    *ret_ask = ask;
    return SH_OK;
}

void sh_ask_free(struct sh_ask *ask)
{
    if (!ask)
        return;
    if (ask->readable)
        event_free(ask->readable);
    if (ask->now)
        event_free(ask->now);
    sh_wipe(ask, sizeof(*ask));
    free(ask);
}

void sh_ask_start(struct sh_ask *ask)
{
    ask->wanted = true;
    event_active(ask->now, 0, 0);
}

void sh_ask_stop(struct sh_ask *ask)
{
    if (ask)
        stop(ask);
}
