// Threads that live as long as the process and share the work of one call after the other.

#pragma once

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

// A helper that has nothing to do looks for work a little while, then sleeps: in a training the next call follows soon,
// and waking a thread takes as long as a short pass. While it looks it lets others run that want its core. Who calls
// waits for no helper that has not begun: on a busy machine the caller does all the work itself.
class Pool {
    static constexpr std::chrono::microseconds LOOKING{100};
    using Call = void (*)(void*, long);

    // The call in progress: how many helpers may still join (above ROOM) and how many are at work (below it), in one
    // number, so that none joins a call that has ended.
    static constexpr unsigned long ROOM = 1ul << 32;
    std::atomic<unsigned long> state{0};
    Call call = nullptr;
    void* work = nullptr;
    long wanted = 0;

    std::mutex in_use;  // by a call
    std::mutex mutex;   // of what follows
    std::condition_variable wake, done;
    long threads = 0, sleeping = 0;

  public:
    // This process's pool. A process that was forked has none of its parent's threads, and begins anew.
    static Pool& here() {
        static std::atomic<Pool*> pool{nullptr};  // never destroyed, for its threads outlive the library's statics
        static std::atomic<long> owner{0};
        static std::mutex making;
        long process = getpid();
        if (owner.load(std::memory_order_acquire) == process) return *pool.load(std::memory_order_relaxed);
        std::lock_guard<std::mutex> lock(making);
        if (owner.load(std::memory_order_relaxed) != process) {
            pool.store(new Pool, std::memory_order_relaxed);
            owner.store(process, std::memory_order_release);
        }
        return *pool.load(std::memory_order_relaxed);
    }

    // work(0) in this thread, and work(1), ... work(helpers) in others, each if it can join before the work is done.
    template <class Work> void run(long helpers, Work& shared) {
        std::unique_lock<std::mutex> mine(in_use, std::try_to_lock);
        if (!mine) return shared(0);  // another thread's call has the helpers
        grow(helpers);
        call = [](void* work, long thread) { (*(Work*)work)(thread); };
        work = &shared, wanted = helpers;
        open(helpers);
        shared(0);
        close();
    }

  private:
    void open(long helpers) {
        bool asleep;
        {
            std::lock_guard<std::mutex> lock(mutex);
            state.store(helpers * ROOM, std::memory_order_release);
            asleep = sleeping > 0;
        }
        if (asleep) wake.notify_all();
    }

    // Let nobody join any more, and wait for those at work.
    void close() {
        auto at_rest = [&] { return state.load(std::memory_order_acquire) == 0; };
        state.fetch_and(ROOM - 1, std::memory_order_acq_rel);
        if (look(at_rest)) return;
        std::unique_lock<std::mutex> lock(mutex);
        done.wait(lock, at_rest);
    }

    void grow(long helpers) {
        if (threads >= helpers) return;
        sigset_t all, before;  // signals are the other threads' affair
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            for (; threads < helpers; threads++) std::thread(&Pool::help, this).detach();
        } catch (const std::system_error&) {  // no more threads to be had: those that there are do it
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void help() {
        auto wanted_here = [&] { return state.load(std::memory_order_relaxed) >= ROOM; };
        while (true) {
            if (!look(wanted_here)) {
                std::unique_lock<std::mutex> lock(mutex);
                sleeping++;
                wake.wait(lock, wanted_here);
                sleeping--;
            }
            unsigned long seen = state.load(std::memory_order_acquire);
            while (seen >= ROOM && !state.compare_exchange_weak(seen, seen - ROOM + 1, std::memory_order_acq_rel)) {
            }
            if (seen < ROOM) continue;
            call(work, wanted - (long)(seen / ROOM) + 1);
            if (state.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                std::lock_guard<std::mutex> lock(mutex);
                done.notify_one();
            }
        }
    }

    template <class Condition> static bool look(Condition met) {
        auto end = std::chrono::steady_clock::now() + LOOKING;
        do {
            for (int i = 0; i < 64; i++) {
                if (met()) return true;
#if defined(__x86_64__)
                _mm_pause();
#endif
            }
            std::this_thread::yield();
        } while (std::chrono::steady_clock::now() < end);
        return met();
    }
};

}  // namespace
