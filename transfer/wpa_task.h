/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is asked of wpa_supplicant to own or join a Wi-Fi Direct group, as an engine: replies, events and the time go in, commands come
 * out. Each kind of task is a way through one table of steps: a command and the reply that it wants, or a wait for an event.
 *
 * Nothing is negotiated: name, passphrase and channel are known (Wi-Fi P2P 1.x persistent groups, started
 * and joined like ones of old). A P2P client first makes the station interface look at the group's one channel, and names the
 * owner's device address that is heard there: wpa_supplicant 2.10 then scans that channel only, not all of them, which takes 8 s.
 */
#ifndef SIMHOP_TRANSFER_WPA_TASK_H
#define SIMHOP_TRANSFER_WPA_TASK_H

#include "transfer/ladder.h"
#include "transfer/wifi_radio.h"
#include "transfer/wpa_reply.h"

enum sh_wpa_task_kind {
    SH_WPA_OWN,     /* an autonomous group owner */
    SH_WPA_SECOND,  /* a station interface of our own, with its own wpa_supplicant */
    SH_WPA_CLIENT,  /* a P2P client */
    SH_WPA_STATION, /* the person's own station interface */
};

/* Until the command that starts it is answered, and so long again until it is up. */
#define SH_WPA_OWN_MS    5000
#define SH_WPA_JOIN_MS   5000
#define SH_WPA_CLIENT_MS 7000
#define SH_WPA_LOOK_MS   1000 /* an event that takes longer may be lost */

struct sh_wpa_task_ops {
    /* p2p: to the control socket of the P2P device, which may be that of the station too. The answer goes to
     * sh_wpa_task_reply. */
    void (*ask)(bool p2p, const char *command, void *user);
    /* The group's interface exists now, and its own events are wanted too; perhaps name it by sh_wpa_task_iface. */
    void (*group)(void *user);
    /* The event that is waited for may have been lost: the STATUS of the interface is wanted, by sh_wpa_task_status. Again and again. */
    void (*look)(void *user);
    /* Associated, with keys. iface: the group's; "": the one that was given. */
    void (*up)(const char *iface, void *user);
    /* It did not come up, or was up and is over: once, and the last. */
    void (*ended)(enum sh_cause cause, void *user);
};

struct sh_wpa_task;

/* group: the credentials; of an owner without bssid. Fails with env.no-memory. Starts with the first tick. */
SH_MUST_USE enum sh_cause sh_wpa_task_new(enum sh_wpa_task_kind kind,
                                          const struct sh_wifi_group *group,
                                          const struct sh_wpa_task_ops *ops, void *user, sh_ms now,
                                          struct sh_wpa_task **ret_task);
/* NULL is fine; not from a callback. */
void sh_wpa_task_free(struct sh_wpa_task *task);

void sh_wpa_task_reply(struct sh_wpa_task *task, struct sh_bytes reply, sh_ms now);
/* own: it came from the group's own interface (or the one that was given), not from the P2P device. */
void sh_wpa_task_event(struct sh_wpa_task *task, const struct sh_wpa_event *event, bool own,
                       sh_ms now);
/* What an interface says of itself: if it is up in the group that is waited for, that is as good as the event. iface: "": the one that
 * was given. */
void sh_wpa_task_status(struct sh_wpa_task *task, const char *iface, struct sh_bytes status);
void sh_wpa_task_iface(struct sh_wpa_task *task, const char *iface);
/* From outside: the interface is gone, wpa_supplicant does not answer. */
void sh_wpa_task_end(struct sh_wpa_task *task, enum sh_cause cause);
/* Returns when it wants to be called again at the latest. */
sh_ms sh_wpa_task_tick(struct sh_wpa_task *task, sh_ms now);

/* What undoes it, as far as it came: each command goes to say, once; the task is over and tells nothing more. false: a group may be there, or
 * come into being yet, that could not be named. */
bool sh_wpa_task_undo(struct sh_wpa_task *task,
                      void (*say)(bool p2p, const char *command, void *user), void *user);

/* For whoever has to undo it later: the group's interface ("" if there is none), and the networks that the station was allowed to connect
 * to before, to be allowed again. Returns how many. */
const char *sh_wpa_task_group_iface(const struct sh_wpa_task *task);
size_t sh_wpa_task_enabled(const struct sh_wpa_task *task, unsigned out[SH_WPA_NETWORKS]);

#endif
