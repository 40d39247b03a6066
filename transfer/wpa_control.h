/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One control socket of wpa_supplicant in the loop: commands one after the other, each answered within
 * SH_WPA_ANSWER_MS or the socket counts as dead; events as they come. The protocol is that of wpa_ctrl.c in wpa_supplicant 2.10
 * (one datagram a message), on a socket of our own: libwpa_client waits up to ten seconds for a reply, and it leaves files in
 * /tmp, which a service with a /tmp of its own does not share with wpa_supplicant. Our end has an abstract name, and, being connected,
 * hears nobody else.
 */
#ifndef SIMHOP_TRANSFER_WPA_CONTROL_H
#define SIMHOP_TRANSFER_WPA_CONTROL_H

#include <event2/event.h>

#include "proto/cause.h"

#define SH_WPA_ANSWER_MS 6000 /* it starts access points before it answers */
#define SH_WPA_COMMAND   256

struct sh_wpa_control;

struct sh_wpa_control_ops {
    /* An unsolicited message. */
    void (*event)(struct sh_bytes datagram, void *user);
    /* wpa_supplicant is gone or does not answer: once; nothing works any more, all that is left is free. */
    void (*lost)(enum sh_cause cause, void *user);
};

/* The reply, whole. */
typedef void (*sh_wpa_answer_fn)(struct sh_bytes reply, void *user);

/* path: "/run/wpa_supplicant/wlan0". attach: events are wanted. Fails with wifi.no-supplicant (nobody listens there), wifi.permission,
 * env.no-memory. */
SH_MUST_USE enum sh_cause sh_wpa_control_open(struct event_base *base, const char *path,
                                              bool attach, const struct sh_wpa_control_ops *ops,
                                              void *user, struct sh_wpa_control **ret_control);
/* NULL is fine; also from a callback. */
void sh_wpa_control_free(struct sh_wpa_control *control);

/* Sends after all that was asked before; the command is copied and wiped when it was sent. Never calls back at
 * once: one that cannot be kept (more than 16 wait, no memory) ends in ops->lost. */
void sh_wpa_control_ask(struct sh_wpa_control *control, const char *command,
                        sh_wpa_answer_fn answered, void *user);

/* Sends now and does not wait for an answer, for an end that cannot wait. Only free may follow. false: it could not be
 * sent, and whoever should hear it is still there. */
bool sh_wpa_control_say(struct sh_wpa_control *control, const char *command);

#endif
