! The Ising model on a square lattice with periodic ends: Wolff's cluster algorithm (Phys. Rev. Lett. 62, 361 (1989)).
! Reads PHYSLAB_SIZE, PHYSLAB_BLOCKS, PHYSLAB_SEED (the seed of the node) and temperatures.csv; J = k = 1. Writes
! ising.csv (a row for each temperature) and one picture of spins for each temperature, spins_<number>.txt.
program ising
  implicit none
  integer, parameter :: dp = kind(1.0d0), per_block = 40
  integer :: size, blocks, seed, count, place, words
  real(dp), allocatable :: temperatures(:)
  integer, allocatable :: spin(:, :), stack(:, :), seeds(:)

  size = nint(number_of("PHYSLAB_SIZE"))
  blocks = nint(number_of("PHYSLAB_BLOCKS"))
  seed = nint(number_of("PHYSLAB_SEED"))
  call read_temperatures()
  call random_seed(size=words)
  allocate (seeds(words), spin(0:size - 1, 0:size - 1), stack(2, size * size))
  seeds = [(seed + 7919 * place, place=1, words)]
  call random_seed(put=seeds)
  spin = 1
  open (10, file="ising.csv")
  write (10, '(a)') "T,energy,sigma_energy,magnetisation,sigma_magnetisation,heat_capacity"
  do count = 1, ubound(temperatures, 1)
    call measure(temperatures(count), count)
  end do
  close (10)

contains

  real(dp) function number_of(name)
    character(len=*), intent(in) :: name
    character(len=64) :: text
    call get_environment_variable(name, text)
    read (text, *) number_of
  end function

  subroutine read_temperatures()
    integer :: i, many, status
    open (12, file="temperatures.csv", status="old")
    many = 0
    do
      read (12, *, iostat=status)
      if (status /= 0) exit
      many = many + 1
    end do
    rewind (12)
    allocate (temperatures(many))
    read (12, *) (temperatures(i), i=1, many)
    close (12)
  end subroutine

  ! Flip one cluster that grows from a random spin; returns how many spins it has.
  integer function flip_cluster(join) result(flipped)
    real(dp), intent(in) :: join
    integer :: x, y, nx, ny, top, sign, way
    integer, parameter :: step(2, 4) = reshape([1, 0, -1, 0, 0, 1, 0, -1], [2, 4])
    real(dp) :: chance(2), lot
    call random_number(chance)
    x = int(chance(1) * size)
    y = int(chance(2) * size)
    sign = spin(x, y)
    spin(x, y) = -sign
    stack(:, 1) = [x, y]
    top = 1
    flipped = 1
    do while (top > 0)
      x = stack(1, top)
      y = stack(2, top)
      top = top - 1
      do way = 1, 4
        nx = modulo(x + step(1, way), size)
        ny = modulo(y + step(2, way), size)
        if (spin(nx, ny) /= sign) cycle
        call random_number(lot)
        if (lot >= join) cycle
        spin(nx, ny) = -sign
        flipped = flipped + 1
        top = top + 1
        stack(:, top) = [nx, ny]
      end do
    end do
  end function

  ! One step: clusters until as many spins were flipped as the lattice has, on average.
  subroutine sweep(join, clusters)
    real(dp), intent(in) :: join
    integer, intent(in) :: clusters
    integer :: i, flipped
    do i = 1, clusters
      flipped = flip_cluster(join)
    end do
  end subroutine

  subroutine measure(temperature, number)
    real(dp), intent(in) :: temperature
    integer, intent(in) :: number
    real(dp) :: join, energy, e(blocks), m(blocks), e2, sites
    integer :: i, j, clusters, flipped
    character(len=16) :: name
    join = 1 - exp(-2 / temperature)
    sites = real(size, dp)**2
    flipped = 0
    do i = 1, 200                                    ! into equilibrium, and how large a cluster is
      flipped = flipped + flip_cluster(join)
    end do
    clusters = max(1, nint(200 * sites / flipped / 2))
    call sweep(join, 100 * clusters)
    e = 0
    m = 0
    e2 = 0
    do i = 1, blocks
      do j = 1, per_block
        call sweep(join, clusters)
        energy = -real(sum(spin * (cshift(spin, 1, 1) + cshift(spin, 1, 2))), dp) / sites
        e(i) = e(i) + energy / per_block
        e2 = e2 + energy**2 / (per_block * blocks)
        m(i) = m(i) + abs(real(sum(spin), dp)) / sites / per_block
      end do
    end do
    write (10, '(f10.6, 5(",", es17.9))') temperature, mean(e), error(e), mean(m), error(m), &
      sites * (e2 - mean(e)**2) / temperature**2
    write (name, '(a, i2.2, a)') "spins_", number, ".txt"
    open (11, file=trim(name))
    do i = 0, size - 1
      write (11, '(*(i0, :, ","))') spin(:, i)
    end do
    close (11)
  end subroutine

  real(dp) function mean(values)
    real(dp), intent(in) :: values(:)
    mean = sum(values) / ubound(values, 1)
  end function

  ! Standard error of the mean of independent blocks.
  real(dp) function error(values)
    real(dp), intent(in) :: values(:)
    integer :: n
    n = ubound(values, 1)
    error = sqrt(sum((values - mean(values))**2) / (n - 1) / n)
  end function
end program
