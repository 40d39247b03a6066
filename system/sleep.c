/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/sleep.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"
#include "system/bus.h"
#include "system/clock.h"

#define LOGIND    "org.freedesktop.login1"
#define PATH      "/org/freedesktop/login1"
#define INTERFACE "org.freedesktop.login1.Manager"
#define RULE                                                                                       \
    "type='signal',sender='" LOGIND "',path='" PATH "',interface='" INTERFACE                      \
    "',member='PrepareForSleep'"

enum mode { BLOCK, DELAY, MODES };
static const char *const mode_names[MODES] = {"block", "delay"};

struct lock {
    int fd; /* -1: not held */
    bool asked;
    bool refused; /* once and for all */
};

struct sh_sleep {
    struct event_base *base;
    const struct sh_sleep_ops *ops;
    void *user;
    struct sh_bus *bus; /* NULL: not needed yet, or lost */
    sd_bus_slot *match;
    struct lock locks[MODES];
    bool moving, going;
    sh_ms asleep; /* as counted at the last look */
};

/* ---- the clocks ---- */

static sh_ms asleep(const struct sh_sleep *sleep)
{
    return sleep->ops->asleep ? sleep->ops->asleep(sleep->user) : sh_asleep();
}

static sh_ms slept(struct sh_sleep *sleep)
{
    sh_ms before = sleep->asleep;
    sleep->asleep = asleep(sleep);
    return sleep->asleep > before ? sleep->asleep - before : 0;
}

/* ---- the locks ---- */

static void release(struct lock *lock)
{
    sh_closep(&lock->fd);
    lock->fd = -1;
}

static bool is_wanted(const struct sh_sleep *sleep)
{
    return sleep->moving && !sleep->going;
}

static int answered(struct sh_sleep *sleep, enum mode mode, sd_bus_message *m)
{
    struct lock *lock = &sleep->locks[mode];
    int fd = -1;
    lock->asked = false;
    if (sd_bus_message_is_method_error(m, NULL)) {
        lock->refused = true;
        sh_log("sleep: no lock to %s it: %s", mode_names[mode], sd_bus_message_get_error(m)->name);
        return 0;
    }
    /* The message's descriptor goes with the message. */
    if (sd_bus_message_read(m, "h", &fd) < 0 || !is_wanted(sleep))
        return 0;
    release(lock);
    lock->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    sh_log("sleep: a lock to %s it", mode_names[mode]);
    return 0;
}

static int on_block(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    return answered(user, BLOCK, m);
}

static int on_delay(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    return answered(user, DELAY, m);
}

static void ask(struct sh_sleep *sleep, enum mode mode)
{
    static const sd_bus_message_handler_t handlers[MODES] = {on_block, on_delay};
    struct lock *lock = &sleep->locks[mode];
    sd_bus_message *m = NULL;
    if (lock->fd >= 0 || lock->asked || lock->refused)
        return;
    int r = sd_bus_message_new_method_call(sh_bus_sd(sleep->bus), &m, LOGIND, PATH, INTERFACE,
                                           "Inhibit");
    if (r >= 0)
        r = sd_bus_message_append(m, "ssss", "sleep", "simhop", "A transfer is under way",
                                  mode_names[mode]);
    if (r >= 0) /* where there is no logind, none is to be started */
        r = sd_bus_message_set_auto_start(m, 0);
    lock->asked = r >= 0 && sh_bus_call(sleep->bus, m, handlers[mode], sleep, 0, NULL) == SH_OK;
    lock->refused = !lock->asked;
    sd_bus_message_unref(m);
}

/* ---- logind's word ---- */

/* Known by whichever comes first, the clocks or logind. */
static void awake(struct sh_sleep *sleep)
{
    sleep->going = false;
    sleep->ops->woke(slept(sleep), sleep->user);
    sh_sleep_moving(sleep, sleep->moving); /* takes back the lock that was given away */
}

static int on_prepare(sd_bus_message *m, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_sleep *sleep = user;
    int going = 0;
    if (sd_bus_message_read(m, "b", &going) < 0)
        return 0;
    sh_log("sleep: %s", going ? "the machine goes to sleep" : "the machine is awake");
    if (going && is_wanted(sleep)) {
        sleep->going = true;
        (void)slept(sleep); /* counts from here */
        sleep->ops->going(sleep->user);
        release(&sleep->locks[DELAY]);
    } else if (!going && sleep->going) {
        awake(sleep);
    }
    return 0;
}

static void forget_bus(struct sh_sleep *sleep)
{
    sd_bus_slot_unref(sleep->match);
    sh_bus_free(sleep->bus);
    sleep->match = NULL;
    sleep->bus = NULL;
    for (size_t i = 0; i < MODES; i++)
        sleep->locks[i].asked = false;
}

/* What is held stays held: that is between logind and our descriptor. */
static void on_lost(enum sh_cause cause, void *user)
{
    struct sh_sleep *sleep = user;
    sh_log("sleep: the bus is lost: %s", sh_cause_info(cause)->name);
    forget_bus(sleep);
}

static bool open_bus(struct sh_sleep *sleep)
{
    if (sleep->bus)
        return true;
    if (sh_bus_open(sleep->base, on_lost, sleep, &sleep->bus) != SH_OK) {
        sh_log("sleep: %s", sh_detail());
        sh_detail_clear();
        return false;
    }
    if (sh_bus_match(sleep->bus, RULE, on_prepare, sleep, &sleep->match) != SH_OK)
        sh_log("sleep: logind cannot be listened to: %s", sh_detail());
    return true;
}

/* ---- what is called from outside ---- */

void sh_sleep_moving(struct sh_sleep *sleep, bool moving)
{
    bool begins = moving && !sleep->moving;
    sleep->moving = moving;
    if (!moving) {
        release(&sleep->locks[BLOCK]);
        release(&sleep->locks[DELAY]);
        sleep->going = false;
        return;
    }
    if (begins) {
        /* Who refused or was not there before is asked again, once a transfer. */
        sleep->locks[BLOCK].refused = sleep->locks[DELAY].refused = !open_bus(sleep);
    }
    if (!sleep->bus || sleep->going)
        return;
    ask(sleep, BLOCK);
    ask(sleep, DELAY);
}

void sh_sleep_look(struct sh_sleep *sleep)
{
    if (asleep(sleep) <= sleep->asleep + SH_SLEPT_MS)
        return;
    awake(sleep);
}

const char *sh_sleep_held(const struct sh_sleep *sleep)
{
    bool block = sleep->locks[BLOCK].fd >= 0, delay = sleep->locks[DELAY].fd >= 0;
    if (block)
        return delay ? "block,delay" : "block";
    return delay ? "delay" : "";
}

enum sh_cause sh_sleep_new(struct event_base *base, const struct sh_sleep_ops *ops, void *user,
                           struct sh_sleep **ret_sleep)
{
    struct sh_sleep *sleep = calloc(1, sizeof(*sleep));
    if (!sleep)
        return SH_ENV_NO_MEMORY;
    *sleep = (struct sh_sleep){.base = base, .ops = ops, .user = user};
    sleep->locks[BLOCK].fd = sleep->locks[DELAY].fd = -1;
    sleep->asleep = asleep(sleep);
    *ret_sleep = sleep;
    return SH_OK;
}

void sh_sleep_free(struct sh_sleep *sleep)
{
    if (!sleep)
        return;
    release(&sleep->locks[BLOCK]);
    release(&sleep->locks[DELAY]);
    forget_bus(sleep);
    free(sleep);
}
