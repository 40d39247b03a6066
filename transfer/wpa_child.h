/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A wpa_supplicant of our own for a second station interface. The system's one would have to be told of it by its global socket, which
 * Debian does not open, or over D-Bus, which it may not listen to, and would keep it after our sudden end; a child needs
 * nothing but the rights that making the interface needed, and ends with us (PR_SET_PDEATHSIG).
 */
#ifndef SIMHOP_TRANSFER_WPA_CHILD_H
#define SIMHOP_TRANSFER_WPA_CHILD_H

#include <event2/event.h>

#include "proto/cause.h"

#define SH_WPA_CHILD_MS 3000

struct sh_wpa_child;

/* ready: its control socket is there, at this path. ended: it did not start, or is gone: the last call. */
struct sh_wpa_child_ops {
    void (*ready)(const char *control_path, void *user);
    void (*ended)(enum sh_cause cause, void *user);
};

/* Its files are kept in run_dir. Fails with wifi.no-supplicant (the program is not there), env.permission, env.no-memory. */
SH_MUST_USE enum sh_cause sh_wpa_child_new(struct event_base *base, const char *run_dir,
                                           const char *iface, const struct sh_wpa_child_ops *ops,
                                           void *user, struct sh_wpa_child **ret_child);
/* Ends it without waiting. NULL is fine; also from a callback. */
void sh_wpa_child_free(struct sh_wpa_child *child);

/* What one that was killed with its parent left in run_dir for this interface. */
void sh_wpa_child_clean(const char *run_dir, const char *iface);

#endif
