/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads the code that a person types, a line at a time, from a terminal, a pipe or a file; never from argv or the
 * environment. Several lines are several tries.
 */
#ifndef SIMHOP_CLI_ASK_H
#define SIMHOP_CLI_ASK_H

#include <event2/event.h>

#include "crypto/code.h"

struct sh_ask;

struct sh_ask_ops {
    void (*code)(const struct sh_code *code, void *user);
    /* A line that is no code; the next one is waited for. */
    void (*strange)(void *user);
    /* confirm.no-code: the input ended, or cannot be read. */
    void (*failed)(enum sh_cause cause, void *user);
};

/* fd stays the caller's. A closed one counts as ended input. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_ask_new(struct event_base *base, int fd, const struct sh_ask_ops *ops,
                                     void *user, struct sh_ask **ret_ask);
/* Wipes what was read. */
void sh_ask_free(struct sh_ask *ask);

/* Wants one code. What is there already of the next line counts. Answered from the loop, once. */
void sh_ask_start(struct sh_ask *ask);
void sh_ask_stop(struct sh_ask *ask);

#endif
