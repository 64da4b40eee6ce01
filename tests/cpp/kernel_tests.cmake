# GEMM, convolution, pooling, attention, and the accuracy of functions and reductions of each instruction set over the
# bare entries, one program each; AMX's GEMM and convolution on emulated tiles.
add_library(kernel_test_base OBJECT ${csrc}/kernels/cpu/caches.cpp parallel_standin.cpp)
target_link_libraries(kernel_test_base PRIVATE core_test_options)

set(plain_kernel_flags -O3 -fno-math-errno -fno-trapping-math -fno-exceptions -Wno-uninitialized -Wno-maybe-uninitialized)
if(TESSEL_SANITIZE)
  list(APPEND plain_kernel_flags -O1)  # as in the engine's own build: a third of the time to compile
endif()

# add_kernels(name target sources flags...): kernels of a target that the engine does not build, or not all of them
function(add_kernels name target sources)
  add_library(${name} OBJECT ${sources})
  target_link_libraries(${name} PRIVATE core_test_options)
  target_compile_definitions(${name} PRIVATE TESSEL_TARGET=${target})
  target_compile_options(${name} PRIVATE ${plain_kernel_flags} ${ARGN})
endfunction()

# add_kernel_test(test target kernels): tests/cpp/<test>.cpp over an object library of kernels
function(add_kernel_test test target kernels)
  add_executable(${test}_${target} ${test}.cpp)
  target_compile_definitions(${test}_${target} PRIVATE TESSEL_TARGET=${target})
  target_link_libraries(${test}_${target} PRIVATE core_test_options ${kernels} kernel_test_base Threads::Threads)
  add_test(NAME ${test}_${target} COMMAND ${test}_${target})
endfunction()

# The kernels as the engine has them; built here where the engine is not.
function(add_kernel_tests target)
  if(NOT TARGET kernels_${target})
    file(GLOB sources CONFIGURE_DEPENDS ${csrc}/kernels/cpu/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/caches.cpp$")
    add_kernels(kernels_${target} ${target} "${sources}" ${ARGN})
  endif()
  foreach(test gemm_test conv_test attention_test kernel_accuracy row_accuracy)
    add_kernel_test(${test} ${target} kernels_${target})
  endforeach()
endfunction()

add_kernel_tests(scalar)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2)
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mprefer-vector-width=256)
  add_kernel_tests(avx2 ${avx2})
  add_kernel_tests(avx512 ${avx512})
  # The engine has only this target's products of bfloat16; here they are tested with those of the other dtypes.
  file(GLOB products CONFIGURE_DEPENDS ${csrc}/kernels/cpu/gemm*.cpp ${csrc}/kernels/cpu/conv*.cpp ${csrc}/kernels/cpu/pool.cpp)
  add_kernels(products_avx512bf16 avx512bf16 "${products}" ${avx512} -mavx512bf16)
  foreach(test gemm_test conv_test)
    add_kernel_test(${test} avx512bf16 products_avx512bf16)
  endforeach()
  set(tiles ${csrc}/kernels/cpu/amx/gemm.cpp ${csrc}/kernels/cpu/amx/conv.cpp)
  add_executable(amx_test amx_test.cpp ${tiles})
  set_source_files_properties(${tiles} PROPERTIES COMPILE_OPTIONS "${plain_kernel_flags};${avx512}"
    COMPILE_DEFINITIONS "TESSEL_TARGET=amx;TESSEL_EMULATE_TILES")
  set_source_files_properties(amx_test.cpp PROPERTIES COMPILE_DEFINITIONS TESSEL_TARGET=avx512)
  target_link_libraries(amx_test PRIVATE core_test_options kernels_avx512 kernel_test_base Threads::Threads)
  add_test(NAME amx_test COMMAND amx_test)
endif()
