/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What /dev/rfkill says, without the device: its events (struct rfkill_event of linux/rfkill.h) read within bounds, and the
 * table of switches that they build. Here too: the edge with other paths, for tests.
 */
#ifndef SIMHOP_SYSTEM_RFKILL_TABLE_H
#define SIMHOP_SYSTEM_RFKILL_TABLE_H

#include "system/rfkill.h"

#define SH_RFKILL_EVENT                                                                            \
    8 /* octets that every kernel gives; newer ones may give more, which say nothing new here */
#define SH_RFKILL_SWITCHES 64 /* more are passed over */

enum sh_rfkill_op { SH_RFKILL_ADD, SH_RFKILL_DEL, SH_RFKILL_CHANGE };

struct sh_rfkill_event {
    uint32_t index;           /* of /sys/class/rfkill/rfkillINDEX */
    enum sh_rfkill_type type; /* SH_RFKILL_TYPES: a radio of another kind */
    enum sh_rfkill_op op;
    bool soft, hard;
};

/* false: too short, or an operation that a kernel does not tell. */
SH_MUST_USE bool sh_rfkill_event_read(struct sh_bytes bytes, struct sh_rfkill_event *ret_event);

struct sh_rfkill_table {
    struct sh_rfkill_event at[SH_RFKILL_SWITCHES];
    size_t count;
};

/* Has that changed anything? */
bool sh_rfkill_table_apply(struct sh_rfkill_table *table, const struct sh_rfkill_event *event);

/* Adds the table up. folder: holds rfkillN/name for each switch. */
void sh_rfkill_table_sum(const struct sh_rfkill_table *table, const char *folder,
                         struct sh_rfkill ret_states[SH_RFKILL_TYPES]);

/* A name as the folder gives it: up to the first newline, what is not printable as '?'. Adds it to a list of names. */
void sh_rfkill_name_add(char list[SH_RFKILL_NAME], struct sh_bytes name);

/* sh_rfkill_read and sh_rfkill_watch_new with other paths. */
void sh_rfkill_read_at(const char *path, const char *folder,
                       struct sh_rfkill ret_states[SH_RFKILL_TYPES]);
SH_MUST_USE enum sh_cause
sh_rfkill_watch_at(struct event_base *base, const char *path, const char *folder,
                   void (*changed)(const struct sh_rfkill states[SH_RFKILL_TYPES], void *user),
                   void *user, struct sh_rfkill_watch **ret_watch);

#endif
