/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Switches of radios: the kernel's /dev/rfkill (Documentation/driver-api/rfkill.rst, struct rfkill_event of
 * linux/rfkill.h). It is only read: nobody is unblocked without being asked.
 *
 * A kernel without rfkill, or a device file that may not be opened, is the same as "nothing is blocked": the radio's own
 * state then tells.
 */
#ifndef SIMHOP_SYSTEM_RFKILL_H
#define SIMHOP_SYSTEM_RFKILL_H

#include <event2/event.h>

#include "proto/cause.h"

enum sh_rfkill_type { SH_RFKILL_WIFI, SH_RFKILL_BLUETOOTH, SH_RFKILL_TYPES };

#define SH_RFKILL_NAME 64

/* What the switches say of one kind of radio. */
struct sh_rfkill {
    unsigned switches;            /* how many there are */
    unsigned soft, hard;          /* how many of them are blocked so; one may be both */
    unsigned shut;                /* how many of them are blocked, in whatever way */
    char blocked[SH_RFKILL_NAME]; /* names of those, "hci0, hp-bluetooth"; cut where it ends */
};

/* At once, without waiting. path: NULL for /dev/rfkill. Never fails: what cannot be read is all zeros. */
void sh_rfkill_read(const char *path, struct sh_rfkill ret_states[SH_RFKILL_TYPES]);

/* Is the radio's own switch ("hci0"; NULL: none is known) blocked, or every switch of the kind and at least one? hard counts
 * before soft. SH_OK, or the cause: bluetooth.rfkill-soft, bluetooth.rfkill-hard, wifi.rfkill-soft,
 * wifi.rfkill-hard, with the names of what is blocked as detail. */
SH_MUST_USE enum sh_cause sh_rfkill_cause(const struct sh_rfkill states[SH_RFKILL_TYPES],
                                          enum sh_rfkill_type type, const char *radio);

struct sh_rfkill_watch;
/* Calls changed from the loop whenever a switch changes, with all states, and soon after the start with those that
 * are there. A kernel without rfkill gives a watch that never calls. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause
sh_rfkill_watch_new(struct event_base *base,
                    void (*changed)(const struct sh_rfkill states[SH_RFKILL_TYPES], void *user),
                    void *user, struct sh_rfkill_watch **ret_watch);
/* NULL is fine; also from changed. */
void sh_rfkill_watch_free(struct sh_rfkill_watch *watch);

#endif
