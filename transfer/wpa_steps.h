/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The steps of a task for wpa_supplicant: how each command is written and what its reply means. wpa_task.c walks them, and it and
 * wpa_steps.c alone know what a task is made of.
 *
 * The commands are those of wpa_supplicant 2.10's control interface (wpa_supplicant/ctrl_iface.c; the networks' variables:
 * wpa_supplicant.conf). One of them carries the passphrase: whoever has a command wipes it after use.
 */
#ifndef SIMHOP_TRANSFER_WPA_STEPS_H
#define SIMHOP_TRANSFER_WPA_STEPS_H

#include "transfer/wpa_task.h"

#define SH_WPA_COMMAND 192 /* bytes of the longest command, with its end */
#define SH_WPA_SCAN_MS 1500

struct sh_wpa_task {
    enum sh_wpa_task_kind kind;
    struct sh_wifi_group group;
    const struct sh_wpa_task_ops *ops;
    void *user;
    size_t step; /* of sh_wpa_steps; its count: up */
    bool begun, over, started;
    bool early; /* the group was up before the command for it was answered */
    bool asked; /* this step's command is on its way */
    sh_ms deadline, wait_until;
    unsigned scans, not_founds, rejects;
    char device[18]; /* the owner's P2P device address; "": not known */
    char iface[SH_WPA_NAME];
    unsigned networks[SH_WPA_NETWORKS]; /* ours */
    size_t network_count;
    unsigned enabled[SH_WPA_NETWORKS];
    size_t enabled_count;
    enum sh_cause seen; /* the most telling cause so far */
};

struct sh_wpa_step {
    const char *name;
    unsigned kinds; /* 1 << enum sh_wpa_task_kind, of those that it is a step of */
    bool p2p;       /* whom it is asked of */
    /* Writes its command, SH_WPA_COMMAND bytes at most; false: there is nothing to say here. NULL: waits for an event. */
    bool (*build)(const struct sh_wpa_task *t, char *out);
    /* Takes the reply, and says whether the step is done well. */
    bool (*take)(struct sh_wpa_task *t, struct sh_bytes reply);
    bool optional;     /* goes on without */
    unsigned limit_ms; /* of an optional wait */
};

/* In the order in which they are taken. */
extern const struct sh_wpa_step sh_wpa_steps[];
extern const size_t sh_wpa_step_count;

/* The count if there is none of that name. */
size_t sh_wpa_step_of(const char *name);

void sh_wpa_say(char *out, const char *format, ...) SH_PRINTF(2, 3);

#endif
